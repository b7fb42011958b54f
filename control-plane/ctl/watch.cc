// watch: the changes of a dataset as lines, from now on, over delta xDS.
#include <unistd.h>

#include "common/backoff.h"
#include "common/delta_codec.h"
#include "common/entry.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/status.h"
#include "common/suggest.h"
#include "common/version.h"
#include "control-plane/ctl/json_text.h"
#include "control-plane/ctl/stop_watcher.h"
#include "control-plane/ctl/stream_events.h"
#include "control-plane/ctl/verb.h"
#include "tributary/v1/reader.grpc.pb.h"

namespace ctl {
namespace {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;

constexpr const char* kMethod =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
constexpr std::chrono::milliseconds kLookUp{60'000};  // nothing depends on it

bool IsPassing(StatusCode code) {
  return code == StatusCode::kUnavailable || code == StatusCode::kResourceExhausted ||
         code == StatusCode::kInternal || code == StatusCode::kUnknown;
}

// The client's side of one collection, as an agent plays it, but that changes are printed.
class Watcher {
 public:
  Watcher(const Session& session, const common::Collection& collection, std::string cursor)
      : session_(session),
        name_(common::CollectionName(collection)),
        cursor_(std::move(cursor)),
        backoff_(common::kReconnectBackoffMin, common::kReconnectBackoffMax,
                 static_cast<std::uint64_t>(getpid())) {}

  Status Run() {
    StopWatcher stop([this] { events_.PostStop(); });
    Open();
    while (true) {
      for (const StreamEvent& event : events_.TakeFor(WaitTime())) {
        if (event.kind == StreamEvent::Kind::kStop) return OkStatus();
        if (event.kind == StreamEvent::Kind::kClosed) {
          RETURN_IF_ERROR(OnClosed(event.status));
          continue;  // a stop may have come with it
        }
        RETURN_IF_ERROR(OnMessage(*event.bytes));
      }
      if (reopen_at_ && std::chrono::steady_clock::now() >= *reopen_at_) Open();
    }
  }

 private:
  std::chrono::milliseconds WaitTime() const {
    if (!reopen_at_) return kLookUp;
    const auto left = *reopen_at_ - std::chrono::steady_clock::now();
    return std::max(std::chrono::milliseconds(1),
                    std::chrono::ceil<std::chrono::milliseconds>(left));
  }

  void Open() {
    reopen_at_.reset();
    events_.Open(*session_.connection, kMethod);
    common::DeltaRequest request;
    request.node = common::NodeInfo{.id = session_.connection->service(),
                                    .cluster = {},
                                    .user_agent = "tributaryctl",
                                    .instance = fmt::format("watch-{}", getpid()),
                                    .features = {"tributary.cursor.v1"}};
    request.type_url = common::kEntryType;
    request.subscribe = {name_};
    if (!cursor_.empty()) request.initial_versions = {{name_, cursor_}};
    events_.Write(common::EncodeDeltaRequest(request));
  }

  Status OnClosed(const Status& status) {
    events_.Close();
    if (!IsPassing(status.code())) return status;
    const std::chrono::milliseconds wait = backoff_.Next();
    session_.io.err << fmt::format("tributaryctl: the stream ended ({}); again in {} ms\n",
                                   common::Message(status), wait.count());
    reopen_at_ = std::chrono::steady_clock::now() + wait;
    return OkStatus();
  }

  Status OnMessage(const std::string& bytes) {
    common::DeltaResponseView response;
    RETURN_IF_ERROR(common::DecodeDeltaResponse(bytes, response));
    backoff_.Reset();
    for (const common::ResourceErrorView& error : response.errors) {
      if (error.name != name_) continue;
      return Error(static_cast<StatusCode>(error.code), "{}",
                   common::Printable(error.message, 500));
    }
    for (const common::ResourceView& resource : response.resources) {
      RETURN_IF_ERROR(resource.name == name_ ? OnMarker(resource) : OnEntry(resource));
    }
    for (const std::string_view name : response.removed) {
      if (const auto parts = common::ParseEntryName(name); parts && !parts->is_collection) {
        PrintDelete(parts->key);
      }
    }
    session_.io.out.flush();
    if (!session_.io.out) return Error(StatusCode::kDataLoss, "the output cannot be written");
    common::DeltaRequest ack;
    ack.type_url = common::kEntryType;
    ack.nonce = response.nonce;
    events_.Write(common::EncodeDeltaRequest(ack));
    events_.ReadNext();
    return OkStatus();
  }

  Status OnMarker(const common::ResourceView& resource) {
    const auto marker = common::ParseMarker(resource.version);
    if (!marker) return Error(StatusCode::kInternal, "the control plane sent a bad marker");
    if (marker->kind == common::Marker::Kind::kComplete) {
      cursor_ = common::FormatCursor({.epoch = marker->at.epoch, .revision = marker->at.revision});
    } else if (!cursor_.empty()) {
      session_.io.err << "tributaryctl: the place in the history is gone: all entries follow, "
                         "deletions in between are not shown\n";
    }
    return OkStatus();
  }

  Status OnEntry(const common::ResourceView& resource) {
    const auto parts = common::ParseEntryName(resource.name);
    const auto entry = common::ParseEntryPayload(resource.payload);
    if (!parts || !entry) return Error(StatusCode::kInternal, "the control plane sent a bad entry");
    const auto version = common::ParseVersion(resource.version);
    std::string line;
    if (session_.output == Output::kTable) {
      line = fmt::format("put\t{}\t{}", common::Printable(parts->key, common::kKeyBytesMax),
                         common::Printable(entry->value, common::kValueBytesMax));
    } else {
      line = "{\"op\":\"put\",";
      AppendBytesMember("key", parts->key, line);
      line += ',';
      AppendBytesMember("value", entry->value, line);
      line += fmt::format(",\"revision\":{},\"published_at_ms\":{}}}",
                          version ? version->revision : 0, entry->published_at_ms);
    }
    session_.io.out << line << '\n';
    return OkStatus();
  }

  void PrintDelete(const std::string& key) {
    std::string line;
    if (session_.output == Output::kTable) {
      line = "delete\t" + common::Printable(key, common::kKeyBytesMax);
    } else {
      line = "{\"op\":\"delete\",";
      AppendBytesMember("key", key, line);
      line += '}';
    }
    session_.io.out << line << '\n';
  }

  const Session& session_;
  const std::string name_;
  std::string cursor_;  // empty: everything
  common::Backoff backoff_;
  std::optional<std::chrono::steady_clock::time_point> reopen_at_;
  StreamEvents events_;
};

class Watch final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("--prefix", prefix_, "only keys that begin with this");
    app.add_flag("--all", all_, "begin with the entries that are there");
  }
  bool handles_stop() const override { return true; }
  Status Check() const override {
    if (!common::IsUtf8(prefix_)) return InvalidArgument("--prefix is not UTF-8");
    return common::ValidateDatasetName(dataset_);
  }
  Status Run(const Session& session) override {
    if (session.connection->service().empty()) {
      return InvalidArgument(
          "watch must know who we are: give --tls-cert and --tls-key, or "
          "--service");
    }
    // Where the dataset is now, and whether we may know.
    tributary::v1::GetRequest request;
    request.set_dataset(dataset_);
    tributary::v1::GetResponse now;
    grpc::ClientContext context;
    session.connection->Prepare(context);
    const grpc::Status status =
        tributary::v1::Reader::NewStub(session.connection->channel())->Get(&context, request, &now);
    if (!status.ok()) return common::FromGrpc(status);
    const auto version = common::ParseVersion(fmt::format("{}.{}", now.epoch(), now.head()));
    if (!version) return Error(StatusCode::kInternal, "the control plane sent no epoch");
    const std::string cursor =
        all_ ? "" : common::FormatCursor({.epoch = version->epoch, .revision = version->revision});
    return Watcher(session, {dataset_, prefix_}, cursor).Run();
  }

 private:
  std::string dataset_, prefix_;
  bool all_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeWatch() { return std::make_unique<Watch>(); }

}  // namespace ctl

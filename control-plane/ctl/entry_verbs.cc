// put, read, scan, export: single entries and whole datasets of the committed state.
#include <cstdio>
#include <fstream>
#include <functional>

#include "common/digest.h"
#include "common/limits.h"
#include "common/names.h"
#include "common/rpc/status.h"
#include "common/suggest.h"
#include "common/version.h"
#include "control-plane/ctl/admin_calls.h"
#include "control-plane/ctl/files.h"
#include "control-plane/ctl/json_text.h"
#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/publish_once.h"
#include "control-plane/ctl/table.h"
#include "control-plane/ctl/verb.h"
#include "tributary/v1/reader.grpc.pb.h"

namespace ctl {
namespace {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;
using tributary::v1::ReadEntry;

// {"key":…,"value":…[,"revision":…,"published_at_ms":…,"content_type":…]}
std::string EntryJson(const ReadEntry& entry, bool with_meta) {
  std::string out = "{";
  AppendBytesMember("key", entry.key(), out);
  out += ',';
  AppendBytesMember("value", entry.value(), out);
  if (with_meta) {
    out += fmt::format(",\"revision\":{},\"published_at_ms\":{}", entry.revision(),
                       entry.published_at_ms());
    if (!entry.content_type().empty()) {
      out += ',';
      AppendBytesMember("content_type", entry.content_type(), out);
    }
  }
  return out + "}";
}

std::string KeyJson(const ReadEntry& entry) {
  std::string out = "{";
  AppendBytesMember("key", entry.key(), out);
  return out + "}";
}

StatusOr<tributary::v1::GetResponse> GetEntries(const Connection& connection,
                                                const std::string& dataset,
                                                const std::vector<std::string>& keys) {
  tributary::v1::GetRequest request;
  request.set_dataset(dataset);
  for (const std::string& key : keys) request.add_keys(key);
  tributary::v1::GetResponse response;
  grpc::ClientContext context;
  connection.Prepare(context);
  const grpc::Status status =
      tributary::v1::Reader::NewStub(connection.channel())->Get(&context, request, &response);
  if (!status.ok()) return common::FromGrpc(status);
  return response;
}

// Calls `visit` for each entry in key order until it fails.
Status ScanEntries(const Connection& connection, const tributary::v1::ScanRequest& request,
                   const std::function<Status(const ReadEntry&)>& visit) {
  grpc::ClientContext context;
  connection.Prepare(context, /*has_deadline=*/false);  // a dataset may be large
  const auto stub = tributary::v1::Reader::NewStub(connection.channel());
  const auto stream = stub->Scan(&context, request);
  tributary::v1::ScanResponse response;
  while (stream->Read(&response)) {
    for (const ReadEntry& entry : response.entries()) {
      Status status = visit(entry);
      if (status.ok()) continue;
      context.TryCancel();
      stream->Finish();
      return status;
    }
  }
  return common::FromGrpc(stream->Finish());
}

class Put final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("key", key_, "the entry's key")->required();
    value_option_ =
        app.add_option("value", value_, "its new value; - reads it from standard input");
    app.add_option("--from-file", file_, "read the value from this file");
    app.add_flag("--delete", delete_, "remove the entry instead");
    app.add_option("--content-type", content_type_, "what the value is, for people");
  }
  Status Check() const override {
    const int given = static_cast<int>(value_option_->count() > 0) +
                      static_cast<int>(!file_.empty()) + static_cast<int>(delete_);
    if (given == 1) return OkStatus();
    return InvalidArgument("put: give one of VALUE, --from-file FILE and --delete");
  }
  Status Run(const Session& session) override {
    tributary::v1::Batch batch;
    tributary::v1::Write& write = *batch.add_writes();
    write.set_dataset(dataset_);
    write.set_key(key_);
    write.set_content_type(content_type_);
    if (delete_) {
      write.set_delete_(true);
    } else {
      ASSIGN_OR_RETURN(*write.mutable_put(), Value(session.io.in));
    }
    ASSIGN_OR_RETURN(const tributary::v1::Result result,
                     PublishOnce(*session.connection, std::move(batch)));
    Print(session, result);
    return OkStatus();
  }

 private:
  StatusOr<std::string> Value(std::istream& in) const {
    if (file_.empty() && value_ != "-") return value_;
    ASSIGN_OR_RETURN(FileText file,
                     ReadText(file_.empty() ? "-" : file_, in, common::kValueBytesMax));
    return std::move(file.text);
  }
  void Print(const Session& session, const tributary::v1::Result& result) const {
    if (session.output == Output::kTable) {
      const char* what = !delete_ ? "put" : result.deleted() > 0 ? "deleted" : "was not there";
      session.io.out << fmt::format("{}/{} {} at revision {}\n", dataset_,
                                    common::Printable(key_, common::kKeyBytesMax), what,
                                    result.revision());
      return;
    }
    std::string json = "{";
    AppendBytesMember("dataset", dataset_, json);
    json += ',';
    AppendBytesMember("key", key_, json);
    json += fmt::format(",\"revision\":{},\"deleted\":{}}}", result.revision(), result.deleted());
    session.io.out << (session.output == Output::kYaml ? ToYaml(Json::parse(json)) : json + "\n");
  }

  CLI::Option* value_option_ = nullptr;
  std::string dataset_, key_, value_, file_, content_type_;
  bool delete_ = false;
};

class Read final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("keys", keys_, "the entries' keys")->required();
    app.add_flag("--raw", raw_, "of one key: nothing but the value's bytes, no newline");
  }
  Status Check() const override {
    return raw_ && keys_.size() > 1 ? InvalidArgument("--raw goes with one key") : OkStatus();
  }
  Status Run(const Session& session) override {
    std::vector<std::string> missing;
    std::vector<ReadEntry> found;
    for (std::size_t begin = 0; begin < keys_.size(); begin += common::kReaderKeysMax) {
      const std::size_t end = std::min(begin + common::kReaderKeysMax, keys_.size());
      const std::vector<std::string> part(keys_.begin() + static_cast<std::ptrdiff_t>(begin),
                                          keys_.begin() + static_cast<std::ptrdiff_t>(end));
      ASSIGN_OR_RETURN(const auto response, GetEntries(*session.connection, dataset_, part));
      for (const ReadEntry& entry : response.entries()) {
        if (entry.found()) found.push_back(entry);
        if (!entry.found()) missing.push_back(common::Printable(entry.key()));
      }
    }
    Print(session, found);
    if (missing.empty()) return OkStatus();
    return Error(StatusCode::kNotFound, "dataset {} has no entry {}", dataset_,
                 fmt::join(missing, ", "));
  }

 private:
  void Print(const Session& session, const std::vector<ReadEntry>& found) const {
    if (session.output != Output::kTable) return PrintJson(session, found);
    if (keys_.size() == 1) {
      for (const ReadEntry& entry : found) session.io.out << entry.value() << (raw_ ? "" : "\n");
      return;
    }
    Table table({"KEY", "REVISION", "VALUE"});
    for (const ReadEntry& entry : found) {
      table.Add({entry.key(), std::to_string(entry.revision()), entry.value()});
    }
    session.io.out << table.Print();
  }
  void PrintJson(const Session& session, const std::vector<ReadEntry>& found) const {
    std::string text;
    for (const ReadEntry& entry : found) {
      text += (text.empty() ? "" : ",\n") + EntryJson(entry, true);
    }
    if (keys_.size() > 1) text = "[" + text + "]";
    if (text.empty()) return;
    session.io.out << (session.output == Output::kYaml ? ToYaml(Json::parse(text)) : text + "\n");
  }

  std::string dataset_;
  std::vector<std::string> keys_;
  bool raw_ = false;
};

class Scan final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("--prefix", prefix_, "only keys that begin with this");
    app.add_option("--limit", limit_, "at most so many entries; 0: all");
    app.add_flag("--keys-only", keys_only_, "without the values");
  }
  // Streams: a dataset may be larger than memory, so nothing is aligned.
  Status Run(const Session& session) override {
    tributary::v1::ScanRequest request;
    request.set_dataset(dataset_);
    request.set_prefix(prefix_);
    request.set_limit(limit_);
    const bool as_json = session.output != Output::kTable;
    bool is_first = true;
    Status status =
        ScanEntries(*session.connection, request, [&](const ReadEntry& entry) -> Status {
          std::string line;
          if (as_json) {
            line = is_first ? "[\n" : ",\n";
            line += keys_only_ ? KeyJson(entry) : EntryJson(entry, true);
          } else {
            line = common::Printable(entry.key(), common::kKeyBytesMax);
            if (!keys_only_) line += "\t" + common::Printable(entry.value(), entry.value().size());
            line += '\n';
          }
          is_first = false;
          session.io.out << line;
          return session.io.out ? OkStatus()
                                : Error(StatusCode::kDataLoss, "the output cannot be written");
        });
    if (as_json && status.ok()) session.io.out << (is_first ? "[]\n" : "\n]\n");  // YAML, too
    return status;
  }

 private:
  std::string dataset_, prefix_;
  std::uint64_t limit_ = 0;
  bool keys_only_ = false;
};

class Export final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("--to", file_, "the file; standard output by default");
    app.add_option("--prefix", prefix_, "only keys that begin with this");
    app.add_option("--format", format_, "jsonl")->check(CLI::IsMember({"jsonl"}));
  }
  Status Run(const Session& session) override {
    if (file_.empty() || file_ == "-") {
      ASSIGN_OR_RETURN(const std::uint64_t written, Write(session, session.io.out));
      (void)written;
      return OkStatus();
    }
    // Complete or not there: written beside it, then renamed.
    const std::string draft = file_ + ".part";
    std::ofstream out(draft, std::ios::binary | std::ios::trunc);
    if (!out) return InvalidArgument("{}: cannot be written", draft);
    const StatusOr<std::uint64_t> written = Write(session, out);
    out.close();
    const bool is_whole = written.ok() && out && std::rename(draft.c_str(), file_.c_str()) == 0;
    if (!is_whole) std::remove(draft.c_str());
    RETURN_IF_ERROR(written.status());
    if (!is_whole) return Error(StatusCode::kDataLoss, "{}: cannot be written", file_);
    session.io.out << fmt::format("exported {} entries to {}\n", WithThousands(*written), file_);
    return OkStatus();
  }

 private:
  StatusOr<std::uint64_t> Write(const Session& session, std::ostream& out) const {
    tributary::v1::ScanRequest request;
    request.set_dataset(dataset_);
    request.set_prefix(prefix_);
    std::uint64_t count = 0;
    RETURN_IF_ERROR(
        ScanEntries(*session.connection, request, [&](const ReadEntry& entry) -> Status {
          out << EntryJson(entry, false) << '\n';
          ++count;
          return out ? OkStatus() : Error(StatusCode::kDataLoss, "the output cannot be written");
        }));
    return count;
  }

  std::string dataset_, file_, prefix_, format_ = "jsonl";
};

}  // namespace

std::unique_ptr<Verb> MakePut() { return std::make_unique<Put>(); }
std::unique_ptr<Verb> MakeRead() { return std::make_unique<Read>(); }
std::unique_ptr<Verb> MakeScan() { return std::make_unique<Scan>(); }
std::unique_ptr<Verb> MakeExport() { return std::make_unique<Export>(); }

}  // namespace ctl

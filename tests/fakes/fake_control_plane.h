// FakeControlPlane: a scripted xDS server for a SyncCore – takes its requests, builds responses.
//
// Thread: the test's.  Lifetime: outlives the core.
#pragma once

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "agent/xds/request_sink.h"
#include "agent/xds/wanted.h"
#include "common/clock.h"
#include "common/delta_codec.h"
#include "common/entry.h"
#include "common/names.h"
#include "common/lmdb.h"
#include "common/wire.h"
#include "common/version.h"
#include "tributary/v1/resources.pb.h"

namespace agent {

class ManualClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return now; }
  std::int64_t UnixMillis() const override { return unix_ms; }
  common::MonotonicTime now{std::chrono::seconds(1000)};
  std::int64_t unix_ms = 1'700'000'000'000;
};

// Builds one response; any part may be wrong on purpose.
class ResponseBuilder {
 public:
  ResponseBuilder(std::string_view type, std::string nonce)
      : type_(type), nonce_(std::move(nonce)) {}

  ResponseBuilder& Resource(std::string_view name, std::string_view version,
                            std::string_view payload, std::string_view type = {}) {
    common::AppendResourceField(name, version, type.empty() ? type_ : type, payload, bytes_);
    return *this;
  }
  ResponseBuilder& Entry(std::string_view dataset, std::string_view key,
                         const common::Version& version, std::string_view value) {
    common::EntryView entry;
    entry.value = value;
    entry.published_at_ms = 1'700'000'000'000;
    common::AppendEntryResource(dataset, key, version, entry, bytes_);
    return *this;
  }
  ResponseBuilder& Marker(const common::Collection& collection, common::Marker::Kind kind,
                          const common::Version& at) {
    return Resource(common::CollectionName(collection), common::FormatMarker({kind, at}), "");
  }
  ResponseBuilder& Begin(const common::Collection& collection, const common::Version& at) {
    return Marker(collection, common::Marker::Kind::kBegin, at);
  }
  ResponseBuilder& Complete(const common::Collection& collection, const common::Version& at) {
    return Marker(collection, common::Marker::Kind::kComplete, at);
  }
  // Who sends it; "fake" unless said.
  ResponseBuilder& From(std::string control_plane) {
    control_plane_ = std::move(control_plane);
    return *this;
  }
  // What it says of single names was so as of this version.
  ResponseBuilder& AsOf(const common::Version& version) {
    system_version_ = common::FormatVersion(version);
    return *this;
  }
  // A resource with a time to live; without content unless `payload` is given.
  ResponseBuilder& Ttl(std::string_view name, std::string_view version, int seconds,
                       std::optional<std::string_view> payload = std::nullopt) {
    std::string resource;
    common::AppendBytesField(1, version, resource);
    if (payload) {
      std::string any;
      common::AppendBytesField(1, type_, any);
      common::AppendBytesField(2, *payload, any);
      common::AppendBytesField(2, any, resource);
    }
    common::AppendBytesField(3, name, resource);
    std::string duration;
    common::AppendVarintField(1, static_cast<std::uint64_t>(seconds), duration);
    common::AppendBytesField(6, duration, resource);
    common::AppendBytesField(2, resource, bytes_);
    return *this;
  }
  // As servers do that are not Tributary's: a version of their own.
  ResponseBuilder& Foreign(std::string_view dataset, std::string_view key, std::string_view version,
                           std::string_view value) {
    return Resource(common::EntryName(dataset, key), version, Payload(value));
  }
  static std::string Payload(std::string_view value) {
    common::EntryView entry;
    entry.value = value;
    std::string payload;
    common::AppendEntryPayload(entry, payload);
    return payload;
  }
  // A resource without content.
  ResponseBuilder& Bare(std::string_view name, std::string_view version) {
    std::string resource;
    common::AppendBytesField(1, version, resource);
    common::AppendBytesField(3, name, resource);
    common::AppendBytesField(2, resource, bytes_);
    return *this;
  }
  ResponseBuilder& Remove(std::string_view name) {
    common::AppendRemovedField(name, bytes_);
    return *this;
  }
  ResponseBuilder& Error(std::string_view name, common::StatusCode code) {
    common::AppendResourceErrorField(name, {static_cast<int>(code), "as scripted"}, bytes_);
    return *this;
  }
  ResponseBuilder& Subscribe(const std::string& service, const std::string& name,
                             const common::Collection& collection,
                             common::Mode mode = common::Mode::kReplicate) {
    common::Subscription subscription;
    subscription.collection = collection;
    subscription.mode = mode;
    return Resource(common::SubscriptionName(service, name), "v" + collection.prefix,
                    EncodeSubscriptionPayload(subscription));
  }
  ResponseBuilder& State(const std::string& dataset, const common::Version& head,
                         const common::Digest& digest) {
    tributary::v1::DatasetState state;
    state.set_dataset(dataset);
    state.set_epoch(common::FormatEpoch(head.epoch));
    state.set_revision(head.revision);
    std::string bytes;
    common::lmdb::AppendBigEndian64(digest.high, bytes);
    common::lmdb::AppendBigEndian64(digest.low, bytes);
    state.set_digest(bytes);
    return Resource(common::DatasetStateName(dataset), common::FormatVersion(head),
                    state.SerializeAsString());
  }
  std::shared_ptr<const std::string> Bytes() const {
    std::string all = bytes_;
    common::AppendResponseTrailer(type_, system_version_, nonce_, control_plane_, all);
    return std::make_shared<const std::string>(std::move(all));
  }

 private:
  const std::string type_;
  const std::string nonce_;
  std::string control_plane_ = "fake";
  std::string system_version_;
  std::string bytes_;
};

class FakeControlPlane final : public RequestSink {
 public:
  void Send(const common::DeltaRequest& request) override {
    // Over the wire and back, as in the program.
    requests.push_back(*common::DecodeDeltaRequest(common::EncodeDeltaRequest(request)));
  }
  void Close(const common::Status& why) override { closed = why; }

  // The oldest request of `type` not yet taken.
  std::optional<common::DeltaRequest> Take(std::string_view type) {
    const auto it = std::ranges::find(requests, type, &common::DeltaRequest::type_url);
    if (it == requests.end()) return std::nullopt;
    common::DeltaRequest request = std::move(*it);
    requests.erase(it);
    return request;
  }
  // The next answer to a response of `type`: "ACK <nonce>", "NACK <nonce>", or "" for none.
  std::string TakeAnswer(std::string_view type) {
    for (auto it = requests.begin(); it != requests.end(); ++it) {
      if (it->type_url != type || it->nonce.empty()) continue;
      std::string answer = (it->error ? "NACK " : "ACK ") + it->nonce;
      last_error = it->error ? it->error->message : "";
      requests.erase(it);
      return answer;
    }
    return {};
  }

  std::deque<common::DeltaRequest> requests;
  std::optional<common::Status> closed;
  std::string last_error;
};

}  // namespace agent

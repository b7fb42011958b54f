// SyncCore: the stream – what is said first on a new one, and what goes over it.
#include <algorithm>
#include <utility>

#include "agent/xds/sync_core.h"
#include "common/buckets.h"
#include "common/limits.h"
#include "common/packed.h"

namespace agent {

using common::Collection;
using common::DeltaRequest;
using common::DeltaResponseView;
using common::Status;

namespace {

constexpr std::string_view kMetaServer = "server";

// That a first request with many versions may be answered with.
bool MayMeanTooLong(common::StatusCode code) {
  return code == common::StatusCode::kResourceExhausted ||
         code == common::StatusCode::kOutOfRange || code == common::StatusCode::kInvalidArgument;
}

}  // namespace

void SyncCore::OnConnecting(const std::string& address) {
  totals_.control_plane = address;
  status_dirty_ = true;
}

void SyncCore::OnOpened() {
  opened_ = true;
  failed_ = proved_ = node_sent_ = false;
  status_dirty_ = true;
  entry_acks_.clear();
  subscriptions_.OnStreamOpened();
  states_.OnStreamOpened();
  entries_.OnStreamOpened();
  assembler_.Start();
  server_ = {.opened_at = clock_.Now()};
  for (const auto& [collection, keys] : rejected_.all()) {
    for (const std::string& key : keys) entries_.Drop(common::EntryName(collection.dataset, key));
  }
  bucket_answers_.clear();
  if (const Status dropped = DropRepairs(); !dropped.ok()) return Fail(dropped);
  if (const Status adopted = AdoptWanted(); !adopted.ok()) return Fail(adopted);
  next_probe_ = clock_.Now() + options_.freshness_interval;
  Flush();
}

// Never guessed: a server that takes a cursor for the name of a resource may answer anything.
bool SyncCore::TakesCursors() const {
  if (!server_.identified) return false;
  if (IsTributary(server_.identifier)) return true;
  return known_server_ && known_server_->markers && known_server_->identifier == server_.identifier;
}

// Where there is a cursor to offer, the first request for entries waits until the server has said
// who it is, by its first response of any type.
bool SyncCore::MayOpenEntries() const {
  if (entries_.opened() || server_.identified) return true;
  if (clock_.Now() - server_.opened_at >= common::kAnswerTimeout) return true;
  return std::ranges::none_of(writer_.Copies(), [&](const CopyState& state) {
    return !state.by_name && !ResumeVersion(state).empty() && !copies_.at(state.collection).restart;
  });
}

// What the first request says of the copies; from now on their entries count.
SyncCore::InitialVersions SyncCore::OfferCopies() {
  using Offer = CutAssembler::Offer;
  InitialVersions versions;
  server_.versions_bytes = 0;
  const bool cursors = TakesCursors();
  for (const CopyState& state : writer_.Copies()) {
    Copy& copy = copies_.at(state.collection);
    copy.restart_asked = copy.restart;  // offering nothing asks for it
    Offer offer = Offer::kNothing;
    if (copy.by_name) {
      WantNames(state, !copy.restart, versions);
      copy.restart = copy.restart_asked = false;
      offer = Offer::kNames;
    } else if (copy.restart) {
    } else if (cursors) {
      if (std::string cursor = ResumeVersion(state); !cursor.empty()) {
        versions.emplace_back(common::CollectionName(state.collection), std::move(cursor));
        offer = Offer::kCursor;
      }
    } else if (state.complete && OfferVersions(state, versions)) {
      offer = Offer::kVersions;
    }
    assembler_.Track(state, offer);
  }
  if (cursors) AskForRejected();
  return versions;
}

// Adds the versions of all entries; false, and none: they are too many for one message.
bool SyncCore::OfferVersions(const CopyState& state, InitialVersions& versions) {
  constexpr std::size_t kFraming = 8;
  const std::size_t count = versions.size();
  std::size_t bytes = server_.versions_bytes;
  const Status read =
      writer_.EachVersion(state.collection, [&](std::string_view key, const EntryVersion& version) {
        std::string text = version.text;
        if (text.empty() && version.version.epoch != kForeignEpoch) {
          text = common::FormatVersion(version.version);
        }
        std::string name = common::EntryName(state.collection.dataset, key);
        bytes += name.size() + text.size() + kFraming;
        versions.emplace_back(std::move(name), std::move(text));
        return bytes <= versions_bytes_max_;
      });
  if (read.ok() && bytes <= versions_bytes_max_) {
    server_.versions_bytes = bytes;
    return true;
  }
  versions.resize(count);
  log_.Info("copy is too large to be resumed with this server, it is loaded again",
            {{"collection", common::CollectionName(state.collection)},
             {"entries", state.entries},
             {"bytes_max", versions_bytes_max_}});
  return false;
}

// A cursor has moved past what was rejected: this is how it is sent again.
void SyncCore::AskForRejected() {
  for (const auto& [collection, keys] : rejected_.all()) {
    for (const std::string& key : keys) entries_.Want(common::EntryName(collection.dataset, key));
  }
}

void SyncCore::Identify(std::string_view identifier) {
  if (std::exchange(server_.identified, true)) return;
  server_.identifier = identifier;
  if (!known_server_ || known_server_->identifier == identifier) return;
  known_server_.reset();
  if (const Status kept = writer_.SetMeta(kMetaServer, ""); !kept.ok()) Fail(kept);
}

// Seen is known: markers, or their absence where they were due.
void SyncCore::LearnServer() {
  if (assembler_.server() == CutAssembler::Server::kUnknown) return;
  KnownServer seen{.identifier = server_.identifier,
                   .markers = assembler_.server() == CutAssembler::Server::kMarkers};
  if (known_server_ == seen) return;
  const Status kept = writer_.SetMeta(kMetaServer, EncodeKnownServer(seen));
  if (!kept.ok()) return Fail(kept);
  log_.Info("server known",
            {{"server", seen.identifier}, {"resumes_by", seen.markers ? "cursor" : "versions"}});
  known_server_ = std::move(seen);
}

Status SyncCore::RecallServer() {
  ASSIGN_OR_RETURN(const std::string bytes, writer_.GetMeta(kMetaServer));
  known_server_ = DecodeKnownServer(bytes);
  return common::OkStatus();
}

// The next stream offers less, so that it is not refused for ever.
void SyncCore::ReviewRefusal(const Status& why) {
  if (server_.versions_bytes == 0 || server_.entries_answered || !MayMeanTooLong(why.code()))
    return;
  versions_bytes_max_ = server_.versions_bytes / 2;
  log_.Warn("the server has refused a request with the versions that are held",
            {{"bytes", server_.versions_bytes}, {"reason", why}});
}

void SyncCore::OnClosed(const Status& why) {
  ReviewRefusal(why);
  if (totals_.connected) {
    log_.Warn("disconnected", {{"address", totals_.control_plane}, {"reason", why}});
    ++totals_.reconnects;
  } else {
    log_.Warn(reach_limiter_, "control plane not reached",
              {{"address", totals_.control_plane}, {"reason", why}});
  }
  opened_ = false;
  unreachable_ = true;
  DropNames(demand_.FailAll(common::Error(common::StatusCode::kUnavailable,
                                          "the control plane is out of reach: {}",
                                          common::Message(why))));
  totals_.connected = false;
  status_dirty_ = true;
  entry_acks_.clear();
  assembler_.Start();
  for (auto& [collection, copy] : copies_) {
    if (copy.staged && writer_.DropStaged(collection).ok()) copy.staged = false;
    copy.taken.clear();
  }
  PublishStatus();
}

void SyncCore::Fail(const Status& status) {
  totals_.apply_error = std::string(common::Message(status));
  failed_ = true;
  status_dirty_ = true;
  if (const auto held_back = fail_limiter_.Admit()) {
    log_.Error("applying has stopped, reads go on; will try again",
               {{"reason", status}, {"held_back", *held_back}});
  }
  sink_.Close(status);
}

void SyncCore::OnResponse(std::shared_ptr<const std::string> bytes) {
  if (!opened_ || failed_) return;
  totals_.bytes_in += bytes->size();
  ++totals_.responses;
  DeltaResponseView view;
  if (const Status decoded = common::UnpackAndDecode(bytes, view); !decoded.ok()) {
    failed_ = true;
    log_.Error("response cannot be read", {{"reason", decoded}});
    return sink_.Close(decoded);
  }
  Identify(view.control_plane);
  unreachable_ = false;
  server_.reports_errors |= !view.errors.empty();
  if (view.type_url == common::kSubscriptionType) {
    OnSubscriptions(view);
  } else if (view.type_url == common::kDatasetStateType) {
    OnStates(view);
  } else if (view.type_url == common::kEntryType) {
    OnEntries(view, bytes);  // not moved: `view` points into it, here as well
  } else {
    Respond(view.type_url, {.nonce = std::string(view.nonce), .error = {}});  // never asked for
  }
  if (failed_) return;
  proved_ = true;
  if (!std::exchange(totals_.connected, true)) {
    log_.Info("connected", {{"address", totals_.control_plane}, {"server", view.control_plane}});
  }
  status_dirty_ = true;
  Flush();
}

SyncCore::Ack SyncCore::AckOf(std::string_view nonce, const std::vector<std::string>& rejected) {
  Ack ack{.nonce = std::string(nonce), .error = {}};
  if (rejected.empty()) return ack;
  std::string why;
  for (const std::string& part : rejected) why.append(why.empty() ? "" : "; ").append(part);
  ack.error = common::ErrorDetail{.code = static_cast<int>(common::StatusCode::kInvalidArgument),
                                  .message = std::move(why)};
  return ack;
}

void SyncCore::Respond(std::string_view type_url, const Ack& ack) {
  DeltaRequest request;
  request.type_url = std::string(type_url);
  request.nonce = ack.nonce;
  request.error = ack.error;
  if (ack.error) {
    ++totals_.nacks;
    log_.Warn(nack_limiter_, "response rejected",
              {{"type", type_url}, {"reason", ack.error->message}});
  }
  Send(std::move(request));
}

void SyncCore::Send(DeltaRequest request) {
  if (!std::exchange(node_sent_, true)) {
    common::NodeInfo& node = request.node.emplace();
    node.id = node.cluster = options_.service;
    node.user_agent = options_.user_agent;
    node.instance = options_.instance;
    for (const std::string_view feature :
         {kCursorFeature, common::kBucketsFeature, common::kPackedFeature, kTtlFeature}) {
      node.features.emplace_back(feature);
    }
  }
  sink_.Send(request);
}

void SyncCore::Flush() {
  if (!opened_ || failed_) return;
  const common::MonotonicTime now = clock_.Now();
  const bool first = !subscriptions_.opened();
  while (auto request = subscriptions_.Next(now)) {
    if (first) {
      for (const auto& [name, resource] : declared_) {
        request->initial_versions.emplace_back(name, resource.version);
      }
    }
    Send(*std::move(request));
  }
  while (auto request = states_.Next(now)) Send(*std::move(request));
  if (!MayOpenEntries()) return;
  InitialVersions offered;
  if (!entries_.opened()) offered = OfferCopies();
  while (auto request = entries_.Next(now)) {
    request->initial_versions = std::exchange(offered, {});
    Send(*std::move(request));
  }
  SendBucketAnswers();
}

}  // namespace agent

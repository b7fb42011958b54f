#include "control-plane/fanout/client_stream.h"

#include <algorithm>
#include <charconv>

#include "common/packed.h"
#include "common/wire.h"
#include "common/xds_limits.h"
#include "control-plane/fanout/catalog_rules.h"
#include "control-plane/fanout/sotw_rules.h"

namespace cp {
namespace {

constexpr std::string_view kCursorFeature = "tributary.cursor.v1";
constexpr std::string_view kWrappedFeature = "xds.config.supports-resource-in-sotw";
// Answers by name may go this far beyond the window, so that a client that is busy committing a
// load still gets its freshness probes answered.
constexpr std::size_t kUnackedBytesHard = common::kUnackedBytesMax + 2 * common::kResponseBytesMax;

std::uint64_t ParseNonce(std::string_view text) {
  std::uint64_t nonce = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), nonce);
  return error == std::errc() && end == text.data() + text.size() ? nonce : 0;
}

// Names of resources and removals in spliced response fields.
std::vector<std::string> NamesIn(std::string_view fields) {
  std::vector<std::string> names;
  for (common::WireReader in(fields); in.Next();) {
    if (in.field() == 6) names.emplace_back(in.bytes());
    if (in.field() != 2) continue;
    for (common::WireReader resource(in.bytes()); resource.Next();) {
      if (resource.field() == 3) names.emplace_back(resource.bytes());
    }
  }
  return names;
}

// A response of answers by name under construction.
class NamedResponse {
 public:
  // False: it is full and `answer` was not added.
  bool Add(const std::string& name, const NamedAnswer& answer) {
    const bool fits =
        fields_.empty() || fields_.size() + answer.fields.size() <= common::kResponseBytesTarget;
    if (!fits) return false;
    fields_.append(answer.fields);
    out_.sent.names.push_back(name);
    if (answer.state) out_.sent.states.push_back(*answer.state);
    return true;
  }
  std::optional<Outgoing> Take() {
    if (fields_.empty()) return std::nullopt;
    out_.pieces.push_back(std::make_shared<const std::string>(std::move(fields_)));
    return std::move(out_);
  }

 private:
  std::string fields_;
  Outgoing out_;
};

void Remember(const std::string& name, const NamedAnswer& answer, Channel& channel) {
  if (channel.type_url == common::kEntryType || answer.version.empty()) {
    channel.known.erase(name);
  } else {
    channel.known[name] = answer.version;
  }
}

}  // namespace

// --- requests ---------------------------------------------------------------------------------

common::Status ClientStream::Identify(const common::DeltaRequest& request) {
  if (identified_) return common::OkStatus();
  if (!request.node || request.node->id.empty()) {
    return common::InvalidArgument(
        "the first request of a stream must carry node.id: the name of the service");
  }
  if (!info_.identity.empty() && request.node->id != info_.identity) {
    return common::Error(common::StatusCode::kPermissionDenied,
                         "node.id is '{}' but the certificate says '{}'", request.node->id,
                         info_.identity);
  }
  node_ = *request.node;
  client_.service = node_.id;
  const auto has = [this](std::string_view feature) {
    return std::ranges::find(node_.features, feature) != node_.features.end();
  };
  client_.cursors = client_.variant == Variant::kDelta && has(kCursorFeature);
  client_.buckets = client_.cursors && has(common::kBucketsFeature);
  client_.packed = client_.cursors && has(common::kPackedFeature);
  client_.wrapped = has(kWrappedFeature);
  identified_ = true;
  return common::OkStatus();
}

std::unique_ptr<TypeRules> ClientStream::MakeRules(Channel& channel) {
  auto rules = MakeDeltaRules(channel);
  if (client_.variant == Variant::kDelta) return rules;
  entries_ = nullptr;
  return std::make_unique<SotwRules>(client_, channel, std::move(rules));
}

std::unique_ptr<TypeRules> ClientStream::MakeDeltaRules(Channel& channel) {
  if (channel.type_url == common::kEntryType) {
    auto entries = std::make_unique<EntryRules>(client_, channel);
    entries_ = entries.get();
    return entries;
  }
  if (channel.type_url == common::kDatasetStateType) {
    return std::make_unique<StateRules>(client_, channel);
  }
  if (channel.type_url == common::kSubscriptionType) {
    return std::make_unique<SubscriptionRules>(client_, channel);
  }
  return std::make_unique<UnknownRules>(channel);
}

common::StatusOr<ClientStream::Type*> ClientStream::FindOrAddType(const std::string& url) {
  if (url.empty()) {
    return common::InvalidArgument("type_url is empty: ADS needs it in each request");
  }
  const auto it = types_.find(url);
  if (it != types_.end()) return it->second.get();
  if (types_.size() >= common::kTypesPerStreamMax) {
    return common::InvalidArgument("more than {} types on a stream", common::kTypesPerStreamMax);
  }
  auto type = std::make_unique<Type>(url, client_.stream);
  type->rules = MakeRules(type->channel);
  return types_.emplace(url, std::move(type)).first->second.get();
}

common::StatusOr<ClientStream::Answer> ClientStream::OnRequest(Request& request,
                                                               const Context& context) {
  const common::DeltaRequest& message = request.message;
  RETURN_IF_ERROR(Identify(message));
  ASSIGN_OR_RETURN(Type* const type, FindOrAddType(message.type_url));
  Channel& channel = type->channel;
  ASSIGN_OR_RETURN(const Answer answer, TakeAnswer(message, *type, context.now));
  const bool delta = client_.variant == Variant::kDelta;
  ASSIGN_OR_RETURN(const Subscription::Change change, delta
                                                          ? channel.subscription.Apply(message)
                                                          : channel.subscription.Replace(message));
  if (change.first) channel.sent_version = message.version_info;
  RETURN_IF_ERROR(type->rules->OnSubscribe(change, request.versions, context));
  if (channel.subscription.empty()) channel.window.Clear();
  return answer;
}

common::StatusOr<ClientStream::Answer> ClientStream::TakeAnswer(const common::DeltaRequest& request,
                                                                Type& type,
                                                                common::MonotonicTime now) {
  if (request.nonce.empty()) return Answer::kNone;
  std::vector<SentResponse> answered = type.channel.window.Take(ParseNonce(request.nonce));
  if (answered.empty()) return Answer::kNone;  // stale: says nothing
  if (!request.error) {
    for (const SentResponse& response : answered) Accept(response, type);
    return Answer::kAck;
  }
  SentResponse rejected = std::move(answered.back());
  answered.pop_back();
  for (const SentResponse& response : answered) Accept(response, type);
  RETURN_IF_ERROR(Reject(std::move(rejected), type, now));
  return Answer::kNack;
}

void ClientStream::Accept(const SentResponse& response, Type& type) {
  if (!response.collection.dataset.empty()) type.rules->OnAccepted(response);
  for (const SentState& state : response.states) {
    proofs_[state.dataset] = {
        .revision = state.revision, .sent_at = response.sent_at, .accepted = true};
  }
}

// Nothing is sent again as it was: halves of it are, until the culprit stands alone. An agent's
// collections are not rolled back, their position has moved on.
common::Status ClientStream::Reject(SentResponse response, Type& type, common::MonotonicTime now) {
  if (response.states.size() == 1) {
    proofs_[response.states[0].dataset] = {.revision = response.states[0].revision,
                                           .sent_at = response.sent_at};
  }
  if (response.body) response.names = NamesIn(*response.body);
  NameQueue::Group rejected{.names = std::move(response.names), .halvings = response.halvings};
  if (type.channel.queue.Retry(std::move(rejected), now)) return common::OkStatus();
  return common::Error(common::StatusCode::kResourceExhausted,
                       "more than {} resources were rejected and wait to be sent again",
                       common::kRejectedNamesMax);
}

void ClientStream::OnCommitted(std::string_view dataset) {
  for (const auto& [url, type] : types_) type->rules->OnCommitted(dataset);
}

common::Status ClientStream::OnCatalog(const CatalogChanges& changes, const Context& context) {
  for (const auto& [url, type] : types_) RETURN_IF_ERROR(type->rules->OnCatalog(changes, context));
  return common::OkStatus();
}

void ClientStream::OnKeyChanged(std::string_view dataset, std::string_view key) {
  if (entries_ != nullptr) entries_->OnKeyChanged(dataset, key);
}

void ClientStream::Leave(WatchIndex& watches) {
  for (const auto& [url, type] : types_) type->rules->Leave(watches);
}

// --- responses --------------------------------------------------------------------------------

// Rejected names again.
common::StatusOr<std::optional<Outgoing>> ClientStream::NextGroup(Type& type,
                                                                  const Context& context) {
  Channel& channel = type.channel;
  NamedResponse response;
  const std::optional<NameQueue::Group> group = channel.queue.TakeGroup(context.now);
  if (!group) return std::optional<Outgoing>();
  for (const std::string& name : group->names) {
    ASSIGN_OR_RETURN(const NamedAnswer answer, type.rules->Resolve(name, context));
    if (answer.fields.empty()) continue;
    if (response.Add(name, answer)) {
      Remember(name, answer, channel);
    } else {
      channel.queue.Add(name, NameQueue::Why::kAsked);
    }
  }
  std::optional<Outgoing> out = response.Take();
  if (out) out->sent.halvings = group->halvings;
  return out;
}

common::StatusOr<std::optional<Outgoing>> ClientStream::NextByName(Type& type,
                                                                   const Context& context) {
  Channel& channel = type.channel;
  ASSIGN_OR_RETURN(std::optional<Outgoing> again, NextGroup(type, context));
  if (again) return again;
  NamedResponse response;
  while (std::optional<NameQueue::Item> item = channel.queue.Take()) {
    ASSIGN_OR_RETURN(const NamedAnswer answer, type.rules->Resolve(item->name, context));
    const bool asked = item->place.why == NameQueue::Why::kAsked;
    const bool due = !answer.fields.empty() && (asked || type.rules->IsNews(item->name, answer));
    if (due && !response.Add(item->name, answer)) {
      channel.queue.Return(*std::move(item));
      break;
    }
    if (!answer.fields.empty()) Remember(item->name, answer, channel);
  }
  return response.Take();
}

void ClientStream::WakeAt(std::optional<common::MonotonicTime> time) {
  if (time && (!wake_at_ || *time < *wake_at_)) wake_at_ = time;
}

common::StatusOr<std::optional<ClientStream::Ready>> ClientStream::Next(const Context& context) {
  const std::size_t unacked = unacked_bytes();
  const auto ready = [](Type& type, std::optional<Outgoing> out) {
    type.channel.owes_answer = false;
    return std::optional<Ready>(Ready{.channel = &type.channel, .out = *std::move(out)});
  };
  wake_at_.reset();
  if (unacked >= kUnackedBytesHard) return std::optional<Ready>();
  for (const auto& [url, type] : types_) {
    ASSIGN_OR_RETURN(std::optional<Outgoing> out, NextByName(*type, context));
    if (out && client_.cursors && url == common::kEntryType) {
      out->version = common::FormatVersion({context.epoch, context.view.head()});
    }
    if (out) return ready(*type, std::move(out));
    WakeAt(type->channel.queue.NextGroup());
  }
  if (unacked >= common::kUnackedBytesMax) return std::optional<Ready>();
  for (const bool bulk : {false, true}) {
    for (const auto& [url, type] : types_) {
      ASSIGN_OR_RETURN(std::optional<Outgoing> out, type->rules->NextOfCollections(bulk, context));
      if (out) return ready(*type, std::move(out));
    }
  }
  for (const auto& [url, type] : types_) WakeAt(type->rules->WakeAt());
  if (wake_at_ && *wake_at_ <= context.now) return std::optional<Ready>();  // not at the end yet
  for (const auto& [url, type] : types_) {
    if (type->channel.owes_answer) return ready(*type, Outgoing());
  }
  return std::optional<Ready>();
}

std::size_t ClientStream::unacked_bytes() const {
  std::size_t sum = 0;
  for (const auto& [url, type] : types_) sum += type->channel.window.bytes();
  return sum;
}

const ClientStream::Proof* ClientStream::FindProof(std::string_view dataset) const {
  const auto it = proofs_.find(dataset);
  return it == proofs_.end() ? nullptr : &it->second;
}

}  // namespace cp

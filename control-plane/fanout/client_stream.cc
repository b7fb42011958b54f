#include "control-plane/fanout/client_stream.h"

#include <algorithm>
#include <charconv>

#include "common/limits.h"
#include "common/wire.h"
#include "control-plane/fanout/catalog_rules.h"

namespace cp {
namespace {

constexpr std::string_view kCursorFeature = "tributary.cursor.v1";
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
  client_.cursors = std::ranges::find(node_.features, kCursorFeature) != node_.features.end();
  client_.buckets =
      std::ranges::find(node_.features, common::kBucketsFeature) != node_.features.end();
  identified_ = true;
  return common::OkStatus();
}

std::unique_ptr<TypeRules> ClientStream::MakeRules(Channel& channel) {
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
  auto type = std::make_unique<Type>(url, common::kExplicitNamesPerStreamMax);
  type->rules = MakeRules(type->channel);
  return types_.emplace(url, std::move(type)).first->second.get();
}

common::StatusOr<ClientStream::Answer> ClientStream::OnRequest(const common::DeltaRequest& request,
                                                               const Context& context) {
  RETURN_IF_ERROR(Identify(request));
  ASSIGN_OR_RETURN(Type* const type, FindOrAddType(request.type_url));
  const Answer answer = TakeAnswer(request, *type);
  ASSIGN_OR_RETURN(const Subscription::Change change, type->channel.subscription.Apply(request));
  InitialVersions versions;
  for (const auto& [name, version] : request.initial_versions) versions.emplace(name, version);
  RETURN_IF_ERROR(type->rules->OnSubscribe(change, versions, context));
  if (type->channel.subscription.empty()) type->channel.window.Clear();
  return answer;
}

ClientStream::Answer ClientStream::TakeAnswer(const common::DeltaRequest& request, Type& type) {
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
  Reject(std::move(rejected), type);
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
void ClientStream::Reject(SentResponse response, Type& type) {
  if (response.states.size() == 1) {
    proofs_[response.states[0].dataset] = {.revision = response.states[0].revision,
                                           .sent_at = response.sent_at};
  }
  if (response.body) response.names = NamesIn(*response.body);
  type.channel.queue.Retry(std::move(response.names));
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

common::StatusOr<std::optional<Outgoing>> ClientStream::NextByName(Type& type,
                                                                   const Context& context) {
  Channel& channel = type.channel;
  NamedResponse response;
  if (const auto group = channel.queue.TakeGroup()) {
    for (const std::string& name : *group) {
      ASSIGN_OR_RETURN(const NamedAnswer answer, type.rules->Resolve(name, context));
      if (answer.fields.empty()) continue;
      if (response.Add(name, answer)) {
        Remember(name, answer, channel);
      } else {
        channel.queue.Add(name, NameQueue::Why::kAsked);
      }
    }
    if (std::optional<Outgoing> out = response.Take()) return out;
  }
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

common::StatusOr<std::optional<ClientStream::Ready>> ClientStream::Next(const Context& context) {
  const std::size_t unacked = unacked_bytes();
  const auto ready = [](Type& type, std::optional<Outgoing> out) {
    type.channel.owes_answer = false;
    return std::optional<Ready>(Ready{.channel = &type.channel, .out = *std::move(out)});
  };
  if (unacked >= kUnackedBytesHard) return std::optional<Ready>();
  for (const auto& [url, type] : types_) {
    ASSIGN_OR_RETURN(std::optional<Outgoing> out, NextByName(*type, context));
    if (out) return ready(*type, std::move(out));
  }
  if (unacked >= common::kUnackedBytesMax) return std::optional<Ready>();
  for (const bool bulk : {false, true}) {
    for (const auto& [url, type] : types_) {
      ASSIGN_OR_RETURN(std::optional<Outgoing> out, type->rules->NextOfCollections(bulk, context));
      if (out) return ready(*type, std::move(out));
    }
  }
  for (const auto& [url, type] : types_) {
    if (type->channel.owes_answer && !context.yielded) return ready(*type, Outgoing());
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

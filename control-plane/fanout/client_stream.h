// ClientStream: one xDS stream – who is at its end, its types, what it is sent next.
//
// Thread: hub.  Lifetime: from Hub::OnOpened to Hub::OnClosed.
// Pure but for the Context it is given.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/delta_codec.h"
#include "common/limits.h"
#include "control-plane/fanout/channel.h"
#include "control-plane/fanout/entry_rules.h"

namespace cp {

struct StreamInfo {
  std::string peer;      // address, for people
  std::string identity;  // proven by TLS; empty with --insecure: the node id is believed
  Variant variant = Variant::kDelta;
};

class ClientStream {
 public:
  // What the client last said of a dataset's state that it was told.
  struct Proof {
    Revision revision = 0;
    common::MonotonicTime sent_at{};
    bool accepted = false;
  };
  // A response ready to be sent but for its trailer, and the channel that it belongs to.
  struct Ready {
    Channel* channel = nullptr;
    Outgoing out;
  };
  enum class Answer { kNone, kAck, kNack };

  ClientStream(StreamId id, StreamInfo info, common::MonotonicTime now)
      : info_(std::move(info)), connected_since_(now) {
    client_.stream = id;
    client_.variant = info_.variant;
  }

  // A failure ends the stream, and this stream only.
  common::StatusOr<Answer> OnRequest(Request& request, const Context& context);
  void OnCommitted(std::string_view dataset);
  common::Status OnCatalog(const CatalogChanges& changes, const Context& context);
  void OnKeyChanged(std::string_view dataset, std::string_view key);
  void Leave(WatchIndex& watches);

  // What is to be sent next, by priority: answers by name, live changes, first loads.
  common::StatusOr<std::optional<Ready>> Next(const Context& context);
  // After Next had nothing: when to ask again though nothing happens; absent: no need.
  std::optional<common::MonotonicTime> wake_at() const { return wake_at_; }
  std::uint64_t NewNonce() { return ++last_nonce_; }

  const Client& client() const { return client_; }
  const StreamInfo& info() const { return info_; }
  const common::NodeInfo& node() const { return node_; }
  common::MonotonicTime connected_since() const { return connected_since_; }
  std::size_t unacked_bytes() const;
  // Null: no entries were asked for.
  const EntryRules* entries() const { return entries_; }
  // Null: none.
  const Proof* FindProof(std::string_view dataset) const;

  bool writing = false;                        // a response is under way
  bool closing = false;                        // the sink was told to close it
  std::optional<common::MonotonicTime> timer;  // under which the hub keeps wake_at()

 private:
  struct Type {
    Type(std::string url, StreamId seed)
        : channel(std::move(url), common::kExplicitNamesPerStreamMax, seed) {}
    Channel channel;
    std::unique_ptr<TypeRules> rules;
  };

  common::Status Identify(const common::DeltaRequest& request);
  common::StatusOr<Type*> FindOrAddType(const std::string& url);
  std::unique_ptr<TypeRules> MakeRules(Channel& channel);
  std::unique_ptr<TypeRules> MakeDeltaRules(Channel& channel);
  common::StatusOr<Answer> TakeAnswer(const common::DeltaRequest& request, Type& type,
                                      common::MonotonicTime now);
  void Accept(const SentResponse& response, Type& type);
  common::Status Reject(SentResponse response, Type& type, common::MonotonicTime now);
  common::StatusOr<std::optional<Outgoing>> NextByName(Type& type, const Context& context);
  common::StatusOr<std::optional<Outgoing>> NextGroup(Type& type, const Context& context);
  void WakeAt(std::optional<common::MonotonicTime> time);

  Client client_;
  const StreamInfo info_;
  const common::MonotonicTime connected_since_;
  common::NodeInfo node_;
  bool identified_ = false;
  std::uint64_t last_nonce_ = 0;
  std::map<std::string, std::unique_ptr<Type>, std::less<>> types_;
  EntryRules* entries_ = nullptr;  // in types_; null on a state-of-the-world stream
  std::optional<common::MonotonicTime> wake_at_;
  std::map<std::string, Proof, std::less<>> proofs_;
};

}  // namespace cp

// Tracking: which clients are to be told that keys which they may have cached have changed (CLIENT
// TRACKING).
//
// Thread: the loop, but for any().  Lifetime: a client is removed before it goes.
// Clients in default mode are remembered with each key that they read, and told of its next change
// once. Clients in broadcasting mode are told of every change to keys with their prefixes. The
// table of keys is bounded: to make room, some key's readers are told that it changed. Source:
// redis.io, "Client-side caching".
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/version.h"

namespace agent {

// Where RESP2 clients hear of it, as messages.
inline constexpr std::string_view kInvalidateChannel = "__redis__:invalidate";

// What a client has asked for.
struct TrackingMode {
  bool on = false;
  bool broadcast = false;
  bool opt_in = false;
  bool opt_out = false;
  bool no_loop = false;                    // not of its own writes
  std::uint64_t redirect = 0;              // to which client the notices go; 0: to this one
  std::vector<std::string> prefixes = {};  // of broadcast; empty: all keys
  friend bool operator==(const TrackingMode&, const TrackingMode&) = default;
};

// The error reply to CLIENT TRACKING, or nullopt with the `next` mode that comes of `asked`.
std::optional<std::string> NextMode(const TrackingMode& now, const TrackingMode& asked,
                                    TrackingMode& next);

class TrackingClient {
 public:
  TrackingClient() = default;
  TrackingClient(const TrackingClient&) = delete;
  TrackingClient& operator=(const TrackingClient&) = delete;
  virtual ~TrackingClient() = default;
  // `version`: of the change; revision 0: not known.
  virtual void OnKeyInvalid(std::string_view key, const common::Version& version) = 0;
  virtual void OnAllInvalid() = 0;
};

class Tracking {
 public:
  explicit Tracking(std::size_t keys_max) : keys_max_(keys_max) {}

  // Replaces what was asked for before; a mode that is off removes the client.
  void SetMode(TrackingClient& client, const TrackingMode& mode);
  void Remove(TrackingClient& client);
  // The client (default mode) has been told what the key is.
  void OnRead(TrackingClient& client, std::string_view key);

  void OnChanged(std::string_view key, const common::Version& version);
  // Any key of any dataset may have changed, or may not be served any more.
  void OnAllChanged();

  // From any thread; true before the first client's mode is confirmed.
  bool any() const { return any_.load(); }
  std::size_t keys() const { return readers_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
  };
  using Clients = std::set<TrackingClient*>;
  using Readers = std::vector<TrackingClient*>;  // each once

  void MakeRoom();
  void Tell(const Readers& readers, std::string_view key, const common::Version& version);

  const std::size_t keys_max_;
  std::unordered_map<std::string, Readers, Hash, std::equal_to<>> readers_;
  std::map<TrackingClient*, TrackingMode> clients_;
  std::map<std::string, Clients, std::less<>> prefixes_;  // of broadcasting clients; "": all keys
  std::atomic<bool> any_{false};
};

}  // namespace agent

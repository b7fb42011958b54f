// What the sync thread remembers across restarts beside the copies: who the server was, and which
// entries it could not take.
//
// Thread: one owner (sync); plain values.  Lifetime: as SyncCore; encoded for Writer::SetMeta.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "common/names.h"

namespace agent {

// A server and whether it sends markers, so takes cursors.
struct KnownServer {
  std::string identifier;  // control_plane.identifier
  bool markers = false;
  friend bool operator==(const KnownServer&, const KnownServer&) = default;
};
std::string EncodeKnownServer(const KnownServer& server);
std::optional<KnownServer> DecodeKnownServer(std::string_view bytes);

// Keys whose last value was rejected, so that a cursor which has moved past them does not hide
// them: they are subscribed by name on the next stream, until a value (or their end) is applied.
class RejectedKeys {
 public:
  using Keys = std::set<std::string, std::less<>>;

  // False: it is there already, or kRejectedKeysMax are.
  bool Add(const common::Collection& collection, std::string_view key);
  bool Remove(const common::Collection& collection, std::string_view key);
  void Forget(const common::Collection& collection) { keys_.erase(collection); }
  bool Has(const common::Collection& collection, std::string_view key) const;
  std::size_t CountOf(const common::Collection& collection) const;
  const std::map<common::Collection, Keys>& all() const { return keys_; }

  std::string Encode() const;
  // Absent: not written by Encode.
  static std::optional<RejectedKeys> Decode(std::string_view bytes);

 private:
  std::map<common::Collection, Keys> keys_;
  std::size_t Count() const;
};

}  // namespace agent

#include "agent/xds/remembered.h"

#include "agent/xds/sync_limits.h"
#include "common/wire.h"

namespace agent {

std::string EncodeKnownServer(const KnownServer& server) {
  std::string out;
  common::AppendBytesField(1, server.identifier, out);
  common::AppendVarintField(2, server.markers ? 1 : 0, out);
  return out;
}

std::optional<KnownServer> DecodeKnownServer(std::string_view bytes) {
  KnownServer server;
  common::WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) server.identifier = in.bytes();
    if (in.field() == 2 && in.is_varint()) server.markers = in.varint() != 0;
  }
  if (!in.ok() || bytes.empty()) return std::nullopt;
  return server;
}

std::size_t RejectedKeys::Count() const {
  std::size_t count = 0;
  for (const auto& [collection, keys] : keys_) count += keys.size();
  return count;
}

bool RejectedKeys::Add(const common::Collection& collection, std::string_view key) {
  if (Has(collection, key) || Count() >= kRejectedKeysMax) return false;
  return keys_[collection].emplace(key).second;
}

bool RejectedKeys::Remove(const common::Collection& collection, std::string_view key) {
  const auto found = keys_.find(collection);
  if (found == keys_.end()) return false;
  const auto at = found->second.find(key);
  if (at == found->second.end()) return false;
  found->second.erase(at);
  if (found->second.empty()) keys_.erase(found);
  return true;
}

bool RejectedKeys::Has(const common::Collection& collection, std::string_view key) const {
  const auto found = keys_.find(collection);
  return found != keys_.end() && found->second.contains(key);
}

std::size_t RejectedKeys::CountOf(const common::Collection& collection) const {
  const auto found = keys_.find(collection);
  return found == keys_.end() ? 0 : found->second.size();
}

std::string RejectedKeys::Encode() const {
  std::string out;
  for (const auto& [collection, keys] : keys_) {
    std::string group;
    common::AppendBytesField(1, collection.dataset, group);
    common::AppendBytesField(2, collection.prefix, group);
    for (const std::string& key : keys) common::AppendBytesField(3, key, group);
    common::AppendBytesField(1, group, out);
  }
  return out;
}

std::optional<RejectedKeys> RejectedKeys::Decode(std::string_view bytes) {
  RejectedKeys rejected;
  common::WireReader in(bytes);
  while (in.Next()) {
    if (in.field() != 1 || !in.is_bytes()) continue;
    common::Collection collection;
    common::WireReader group(in.bytes());
    while (group.Next()) {
      if (!group.is_bytes()) return std::nullopt;
      if (group.field() == 1) collection.dataset = group.bytes();
      if (group.field() == 2) collection.prefix = group.bytes();
      if (group.field() == 3) rejected.keys_[collection].emplace(group.bytes());
    }
    if (!group.ok()) return std::nullopt;
  }
  if (!in.ok()) return std::nullopt;
  return rejected;
}

}  // namespace agent

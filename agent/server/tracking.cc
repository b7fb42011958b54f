#include "agent/server/tracking.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "common/read_limits.h"

namespace agent {
namespace {

std::optional<std::string> OverlapError(const std::vector<std::string>& prefixes) {
  for (std::size_t i = 0; i < prefixes.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const std::size_t size = std::min(prefixes[i].size(), prefixes[j].size());
      if (prefixes[i].compare(0, size, prefixes[j], 0, size) != 0) continue;
      return fmt::format(
          "ERR Prefix '{}' overlaps with an existing prefix '{}'. Prefixes for a single client "
          "must not overlap.",
          prefixes[i], prefixes[j]);
    }
  }
  return std::nullopt;
}

std::optional<std::string> SwitchError(const TrackingMode& now, const TrackingMode& asked) {
  if (!now.on) return std::nullopt;
  if (now.broadcast != asked.broadcast) {
    return "ERR You can't switch BCAST mode on/off before disabling tracking for this client, and "
           "then re-enabling it with a different mode.";
  }
  if (now.opt_in != asked.opt_in || now.opt_out != asked.opt_out) {
    return "ERR You can't switch OPTIN/OPTOUT mode before disabling tracking for this client, and "
           "then re-enabling it with a different mode.";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> NextMode(const TrackingMode& now, const TrackingMode& asked,
                                    TrackingMode& next) {
  if (!asked.on) {
    next = {};
    return std::nullopt;
  }
  if (!asked.prefixes.empty() && !asked.broadcast) {
    return "ERR PREFIX option requires BCAST mode to be enabled";
  }
  if (asked.broadcast && (asked.opt_in || asked.opt_out)) {
    return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  }
  if (asked.opt_in && asked.opt_out) {
    return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  }
  if (auto error = SwitchError(now, asked)) return error;
  next = asked;
  // More prefixes add to those there are.
  for (const std::string& prefix : now.prefixes) {
    const auto same = std::find(next.prefixes.begin(), next.prefixes.end(), prefix);
    if (same == next.prefixes.end()) next.prefixes.push_back(prefix);
  }
  if (next.prefixes.size() > common::kTrackingPrefixesPerClientMax) {
    return fmt::format("TOOBIG more than {} prefixes", common::kTrackingPrefixesPerClientMax);
  }
  return OverlapError(next.prefixes);
}

void Tracking::SetMode(TrackingClient& client, const TrackingMode& mode) {
  Remove(client);
  if (!mode.on) return;
  any_.store(true);
  clients_[&client] = mode;
  if (!mode.broadcast) return;
  if (mode.prefixes.empty()) prefixes_[""].insert(&client);
  for (const std::string& prefix : mode.prefixes) prefixes_[prefix].insert(&client);
}

// Its entries in the table of keys go when those keys change: a client that is not listed is not
// told. A new client at the same address may be told once too often, which does no harm.
void Tracking::Remove(TrackingClient& client) {
  const auto found = clients_.find(&client);
  if (found == clients_.end()) return;
  for (auto& [prefix, clients] : prefixes_) clients.erase(&client);
  std::erase_if(prefixes_, [](const auto& prefix) { return prefix.second.empty(); });
  clients_.erase(found);
  if (!clients_.empty()) return;
  readers_.clear();
  any_.store(false);
}

void Tracking::OnRead(TrackingClient& client, std::string_view key) {
  auto found = readers_.find(key);
  if (found == readers_.end()) {
    if (readers_.size() >= keys_max_) MakeRoom();
    found = readers_.emplace(key, Readers()).first;
  }
  Readers& readers = found->second;
  if (std::find(readers.begin(), readers.end(), &client) == readers.end()) {
    readers.push_back(&client);
  }
}

void Tracking::Tell(const Readers& readers, std::string_view key, const common::Version& version) {
  for (TrackingClient* client : readers) {
    if (clients_.contains(client)) client->OnKeyInvalid(key, version);
  }
}

void Tracking::MakeRoom() {
  const auto node = readers_.extract(readers_.begin());
  Tell(node.mapped(), node.key(), {});
}

void Tracking::OnChanged(std::string_view key, const common::Version& version) {
  if (const auto found = readers_.find(key); found != readers_.end()) {
    const Readers readers = std::move(found->second);
    readers_.erase(found);
    Tell(readers, key, version);
  }
  for (const auto& [prefix, clients] : prefixes_) {
    if (!key.starts_with(prefix)) continue;
    for (TrackingClient* client : clients) client->OnKeyInvalid(key, version);
  }
}

void Tracking::OnAllChanged() {
  readers_.clear();
  for (const auto& [client, mode] : clients_) client->OnAllInvalid();
}

}  // namespace agent

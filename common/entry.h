// Entry: one key of a dataset with its value, as the programs pass it, and its form on the wire.
//
// Thread: any.  Lifetime: EntryView points into bytes that someone else keeps.
// On the wire an entry is an xDS Resource whose Any holds a tributary.v1.Entry (proto/).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/version.h"

namespace common {

struct EntryView {
  std::string_view value;
  std::int64_t published_at_ms = 0;  // Unix time of the control plane's commit
  std::int64_t expires_at_ms = 0;    // Unix time; 0: never
  std::string_view content_type = {};
};

// The payload: an encoded tributary.v1.Entry without its name (delta xDS carries the name outside).
void AppendEntryPayload(const EntryView& entry, std::string& out);
// Absent: malformed.
std::optional<EntryView> ParseEntryPayload(std::string_view payload);

// One `resources` field (tag 2) of a DeltaDiscoveryResponse, ready to be spliced into any response.
void AppendEntryResource(std::string_view dataset, std::string_view key, const Version& version,
                         const EntryView& entry, std::string& out);
// The entry inside bytes made by AppendEntryResource. REQUIRES: they are.
EntryView EntryOfResource(std::string_view resource_field);

// One `resources` field of any type with the given payload inside an Any.
void AppendResourceField(std::string_view name, std::string_view version, std::string_view type_url,
                         std::string_view payload, std::string& out);

// One `removed_resources` field (tag 6).
void AppendRemovedField(std::string_view name, std::string& out);

}  // namespace common

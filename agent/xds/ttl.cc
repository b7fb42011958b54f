#include "agent/xds/ttl.h"

#include <algorithm>

#include "common/wire.h"

namespace agent {
namespace {

constexpr std::uint32_t kResources = 2;  // of a response
constexpr std::uint32_t kName = 3;       // of a resource
constexpr std::uint32_t kTtl = 6;
constexpr std::uint32_t kResourceName = 8;
constexpr std::int64_t kSecondsMax = 10'000LL * 366 * 24 * 3600;

// google.protobuf.Duration; the negative and the absurdly long are bounded.
std::int64_t Millis(std::string_view duration) {
  std::int64_t seconds = 0;
  std::int64_t nanos = 0;
  common::WireReader in(duration);
  while (in.Next()) {
    if (in.field() == 1 && in.is_varint()) seconds = static_cast<std::int64_t>(in.varint());
    if (in.field() == 2 && in.is_varint()) nanos = static_cast<std::int64_t>(in.varint());
  }
  if (!in.ok()) return 0;
  return std::clamp<std::int64_t>(seconds, 0, kSecondsMax) * 1000 +
         std::clamp<std::int64_t>(nanos, 0, 999'999'999) / 1'000'000;
}

// Adds a resource's TTL, if it has one and a name.
void FindTtl(std::string_view resource, Ttls& ttls) {
  const char* name = nullptr;
  std::int64_t millis = -1;
  for (common::WireReader in(resource); in.Next();) {
    if (!in.is_bytes()) continue;
    if (in.field() == kName) name = in.bytes().data();
    if (in.field() == kTtl) millis = Millis(in.bytes());
    if (in.field() != kResourceName) continue;
    for (common::WireReader inner(in.bytes()); inner.Next();) {
      if (inner.field() == 1 && inner.is_bytes()) name = inner.bytes().data();
    }
  }
  if (name != nullptr && millis >= 0) ttls.emplace(name, millis);
}

}  // namespace

Ttls FindTtls(std::string_view response) {
  Ttls ttls;
  for (common::WireReader in(response); in.Next();) {
    if (in.field() == kResources && in.is_bytes()) FindTtl(in.bytes(), ttls);
  }
  return ttls;
}

}  // namespace agent

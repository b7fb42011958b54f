#include "control-plane/fanout/sotw_encoding.h"

#include <optional>

#include "common/delta_codec.h"
#include "common/names.h"
#include "common/status.h"
#include "common/wire.h"

namespace cp {
namespace {

using common::AppendBytesField;

constexpr std::string_view kResourceType =
    "type.googleapis.com/envoy.service.discovery.v3.Resource";
// DeltaDiscoveryResponse
enum DeltaField : std::uint32_t { kDeltaResources = 2, kDeltaRemoved = 6, kDeltaErrors = 9 };
// DiscoveryResponse
enum SotwField : std::uint32_t {
  kVersion = 1,
  kResources = 2,
  kType = 4,
  kNonce = 5,
  kControlPlane = 6,
  kErrors = 7,
};

// Which field of the payload carries the resource's name; absent: the payload says it all.
std::optional<std::uint32_t> NameField(std::string_view type_url) {
  if (type_url == common::kEntryType) return 1;
  if (type_url == common::kSubscriptionType) return 7;
  return std::nullopt;
}

struct Parts {
  std::string_view name, type_url, payload;
};

Parts Split(std::string_view resource) {
  Parts parts;
  for (common::WireReader in(resource); in.Next();) {
    if (in.field() == 3) parts.name = in.bytes();
    if (in.field() != 2) continue;
    for (common::WireReader any(in.bytes()); any.Next();) {
      if (any.field() == 1) parts.type_url = any.bytes();
      if (any.field() == 2) parts.payload = any.bytes();
    }
  }
  return parts;
}

void AppendAny(std::string_view type_url, std::string_view head, std::string_view payload,
               std::string& out) {
  const std::size_t value = head.size() + payload.size();
  common::AppendBytesHeader(
      kResources, common::BytesFieldSize(type_url.size()) + common::BytesFieldSize(value), out);
  AppendBytesField(1, type_url, out);
  common::AppendBytesHeader(2, value, out);
  out.append(head).append(payload);
}

void AppendUnwrapped(std::string_view resource, std::string& out) {
  const Parts parts = Split(resource);
  std::string name;
  if (const auto field = NameField(parts.type_url)) AppendBytesField(*field, parts.name, name);
  AppendAny(parts.type_url, name, parts.payload, out);
}

}  // namespace

void AppendSotwResources(std::string_view delta_fields, bool wrapped, std::string& out) {
  for (common::WireReader in(delta_fields); in.Next();) {
    if (in.field() != kDeltaResources) continue;
    if (wrapped) {
      AppendAny(kResourceType, {}, in.bytes(), out);
    } else {
      AppendUnwrapped(in.bytes(), out);
    }
  }
}

void AppendSotwErrors(std::string_view delta_fields, std::string& out) {
  std::string_view removed;
  for (common::WireReader in(delta_fields); in.Next();) {
    if (in.field() == kDeltaErrors) return AppendBytesField(kErrors, in.bytes(), out);
    if (in.field() == kDeltaRemoved) removed = in.bytes();
  }
  if (removed.empty()) return;
  std::string name;
  AppendBytesField(1, removed, name);
  std::string error;
  AppendBytesField(1, name, error);
  AppendBytesField(2,
                   common::EncodeRpcStatus({.code = static_cast<int>(common::StatusCode::kNotFound),
                                            .message = "does not exist"}),
                   error);
  AppendBytesField(kErrors, error, out);
}

void AppendSotwTrailer(std::string_view type_url, std::string_view version, std::string_view nonce,
                       std::string_view control_plane, std::string& out) {
  AppendBytesField(kVersion, version, out);
  AppendBytesField(kType, type_url, out);
  std::string message;
  AppendBytesField(1, control_plane, message);
  AppendBytesField(kControlPlane, message, out);
  AppendBytesField(kNonce, nonce, out);
}

}  // namespace cp

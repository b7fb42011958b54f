// The half of delta_codec.h that deals with responses.
#include "common/delta_codec.h"
#include "common/wire.h"

namespace common {
namespace {

// Field numbers of DeltaDiscoveryResponse.
enum ResponseField : std::uint32_t {
  kSystemVersion = 1,
  kResources = 2,
  kResponseType = 4,
  kResponseNonce = 5,
  kRemoved = 6,
  kControlPlane = 7,
  kRemovedNames = 8,
  kResourceErrors = 9,
};

Status DecodeAny(std::string_view bytes, ResourceView& resource) {
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) resource.type_url = in.bytes();
    if (in.field() == 2 && in.is_bytes()) resource.payload = in.bytes();
  }
  return in.ok() ? OkStatus() : Malformed("Any in a resource");
}

std::string_view NameOfResourceName(std::string_view bytes) {
  for (WireReader in(bytes); in.Next();) {
    if (in.field() == 1 && in.is_bytes()) return in.bytes();
  }
  return {};
}

Status DecodeResource(std::string_view bytes, ResourceView& resource) {
  WireReader in(bytes);
  while (in.Next()) {
    if (!in.is_bytes()) continue;
    if (in.field() == 1) resource.version = in.bytes();
    if (in.field() == 2) {
      resource.has_resource = true;
      RETURN_IF_ERROR(DecodeAny(in.bytes(), resource));
    }
    if (in.field() == 3) resource.name = in.bytes();
    if (in.field() == 6) resource.has_ttl = true;
    if (in.field() == 8) resource.name = NameOfResourceName(in.bytes());
  }
  return in.ok() ? OkStatus() : Malformed("resource");
}

Status DecodeResourceError(std::string_view bytes, ResourceErrorView& error) {
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) error.name = NameOfResourceName(in.bytes());
    if (in.field() == 2 && in.is_bytes()) {
      RETURN_IF_ERROR(DecodeRpcStatus(in.bytes(), error.code, error.message));
    }
  }
  return in.ok() ? OkStatus() : Malformed("resource error");
}

Status DecodeResponseField(const WireReader& in, DeltaResponseView& response) {
  switch (in.field()) {
    case kSystemVersion:
      response.system_version = in.bytes();
      return OkStatus();
    case kResources:
      return DecodeResource(in.bytes(), response.resources.emplace_back());
    case kResponseType:
      response.type_url = in.bytes();
      return OkStatus();
    case kResponseNonce:
      response.nonce = in.bytes();
      return OkStatus();
    case kRemoved:
      response.removed.push_back(in.bytes());
      return OkStatus();
    case kControlPlane:
      response.control_plane = NameOfResourceName(in.bytes());  // ControlPlane{1 identifier}
      return OkStatus();
    case kRemovedNames:
      response.removed.push_back(NameOfResourceName(in.bytes()));
      return OkStatus();
    case kResourceErrors:
      return DecodeResourceError(in.bytes(), response.errors.emplace_back());
    default:
      return OkStatus();
  }
}

}  // namespace

Status DecodeRpcStatus(std::string_view bytes, int& code, std::string_view& message) {
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_varint()) code = static_cast<int>(in.varint());
    if (in.field() == 2 && in.is_bytes()) message = in.bytes();
  }
  return in.ok() ? OkStatus() : InvalidArgument("malformed error_detail");
}

std::string EncodeRpcStatus(const ErrorDetail& error) {
  std::string out;
  if (error.code != 0) AppendVarintField(1, static_cast<std::uint64_t>(error.code), out);
  if (!error.message.empty()) AppendBytesField(2, error.message, out);
  return out;
}

Status DecodeDeltaResponse(std::string_view bytes, DeltaResponseView& response) {
  response.type_url = response.nonce = response.system_version = response.control_plane = {};
  response.resources.clear();
  response.removed.clear();
  response.errors.clear();
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() > kResourceErrors) continue;
    if (!in.is_bytes()) return Malformed("DeltaDiscoveryResponse: a field has the wrong wire type");
    RETURN_IF_ERROR(DecodeResponseField(in, response));
  }
  return in.ok() ? OkStatus() : Malformed("DeltaDiscoveryResponse");
}

void AppendResponseTrailer(std::string_view type_url, std::string_view system_version,
                           std::string_view nonce, std::string_view control_plane,
                           std::string& out) {
  if (!system_version.empty()) AppendBytesField(kSystemVersion, system_version, out);
  AppendBytesField(kResponseType, type_url, out);
  if (!control_plane.empty()) {
    std::string message;
    AppendBytesField(1, control_plane, message);
    AppendBytesField(kControlPlane, message, out);
  }
  AppendBytesField(kResponseNonce, nonce, out);
}

void AppendResourceErrorField(std::string_view name, const ErrorDetail& error, std::string& out) {
  std::string resource_name;
  AppendBytesField(1, name, resource_name);
  std::string message;
  AppendBytesField(1, resource_name, message);
  AppendBytesField(2, EncodeRpcStatus(error), message);
  AppendBytesField(kResourceErrors, message, out);
}

}  // namespace common

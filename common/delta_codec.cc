#include "common/delta_codec.h"

#include "common/limits.h"
#include "common/names.h"
#include "common/wire.h"

namespace common {
namespace {

// Field numbers of DeltaDiscoveryRequest.
enum RequestField : std::uint32_t {
  kRequestNode = 1,
  kRequestType = 2,
  kSubscribe = 3,
  kUnsubscribe = 4,
  kInitialVersions = 5,
  kRequestNonce = 6,
  kErrorDetail = 7,
  kLocatorsSubscribe = 8,
  kLocatorsUnsubscribe = 9,
};
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
// Field numbers of core.Node.
enum NodeField : std::uint32_t {
  kNodeId = 1,
  kNodeCluster = 2,
  kNodeMetadata = 3,
  kNodeUserAgent = 6,
  kNodeFeatures = 10,
};
constexpr std::string_view kInstanceKey = "instance";

Status Malformed(std::string_view what) { return InvalidArgument("malformed {}", what); }

Status CopyText(std::string_view what, std::string_view bytes, std::string& out) {
  if (!IsUtf8(bytes)) return InvalidArgument("{} is not UTF-8", what);
  out.assign(bytes);
  return OkStatus();
}

Status AddName(std::string_view what, std::string_view bytes, std::vector<std::string>& names) {
  if (bytes.size() > kResourceNameBytesMax) {
    return InvalidArgument("{} of {} bytes, at most {} are allowed", what, bytes.size(),
                           kResourceNameBytesMax);
  }
  return CopyText(what, bytes, names.emplace_back());
}

// The value of `name` in a google.protobuf.Struct, if it is a string.
std::string StructString(std::string_view bytes, std::string_view name) {
  for (WireReader in(bytes); in.Next();) {
    if (in.field() != 1 || !in.is_bytes()) continue;
    std::string_view key;
    std::string_view value;
    for (WireReader pair(in.bytes()); pair.Next();) {
      if (pair.field() == 1 && pair.is_bytes()) key = pair.bytes();
      if (pair.field() == 2 && pair.is_bytes()) value = pair.bytes();
    }
    if (key != name) continue;
    for (WireReader variant(value); variant.Next();) {
      if (variant.field() == 3 && variant.is_bytes()) return std::string(variant.bytes());
    }
  }
  return {};
}

Status DecodeNode(std::string_view bytes, NodeInfo& node) {
  WireReader in(bytes);
  while (in.Next()) {
    if (!in.is_bytes()) continue;
    if (in.field() == kNodeId) RETURN_IF_ERROR(CopyText("node.id", in.bytes(), node.id));
    if (in.field() == kNodeCluster) {
      RETURN_IF_ERROR(CopyText("node.cluster", in.bytes(), node.cluster));
    }
    if (in.field() == kNodeUserAgent) {
      RETURN_IF_ERROR(CopyText("node.user_agent_name", in.bytes(), node.user_agent));
    }
    if (in.field() == kNodeFeatures) {
      RETURN_IF_ERROR(CopyText("node.client_features", in.bytes(), node.features.emplace_back()));
    }
    if (in.field() == kNodeMetadata) node.instance = StructString(in.bytes(), kInstanceKey);
  }
  return in.ok() ? OkStatus() : Malformed("node");
}

Status DecodeMapEntry(std::string_view bytes, DeltaRequest& request) {
  auto& [name, version] = request.initial_versions.emplace_back();
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) {
      RETURN_IF_ERROR(CopyText("initial_resource_versions name", in.bytes(), name));
    }
    if (in.field() == 2 && in.is_bytes()) {
      RETURN_IF_ERROR(CopyText("initial_resource_versions version", in.bytes(), version));
    }
  }
  return in.ok() ? OkStatus() : Malformed("initial_resource_versions");
}

// google.rpc.Status
Status DecodeError(std::string_view bytes, int& code, std::string_view& message) {
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_varint()) code = static_cast<int>(in.varint());
    if (in.field() == 2 && in.is_bytes()) message = in.bytes();
  }
  return in.ok() ? OkStatus() : Malformed("error_detail");
}

// A ResourceLocator; dynamic parameters are not supported and refused by name.
Status AddLocator(std::string_view bytes, std::vector<std::string>& names) {
  std::string_view name;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) name = in.bytes();
    if (in.field() == 2)
      return InvalidArgument("resource locators with dynamic parameters are not supported");
  }
  if (!in.ok()) return Malformed("resource locator");
  return AddName("resource locator name", name, names);
}

Status DecodeRequestField(const WireReader& in, DeltaRequest& request) {
  switch (in.field()) {
    case kRequestNode:
      return DecodeNode(in.bytes(), request.node ? *request.node : request.node.emplace());
    case kRequestType:
      return CopyText("type_url", in.bytes(), request.type_url);
    case kSubscribe:
      return AddName("resource_names_subscribe", in.bytes(), request.subscribe);
    case kUnsubscribe:
      return AddName("resource_names_unsubscribe", in.bytes(), request.unsubscribe);
    case kInitialVersions:
      return DecodeMapEntry(in.bytes(), request);
    case kRequestNonce:
      return CopyText("response_nonce", in.bytes(), request.nonce);
    case kLocatorsSubscribe:
      return AddLocator(in.bytes(), request.subscribe);
    case kLocatorsUnsubscribe:
      return AddLocator(in.bytes(), request.unsubscribe);
    case kErrorDetail: {
      std::string_view message;
      ErrorDetail& error = request.error.emplace();
      RETURN_IF_ERROR(DecodeError(in.bytes(), error.code, message));
      return CopyText("error_detail.message", message, error.message);
    }
    default:
      return OkStatus();
  }
}

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
      RETURN_IF_ERROR(DecodeError(in.bytes(), error.code, error.message));
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

std::string EncodeNode(const NodeInfo& node) {
  std::string out;
  AppendBytesField(kNodeId, node.id, out);
  if (!node.cluster.empty()) AppendBytesField(kNodeCluster, node.cluster, out);
  if (!node.instance.empty()) {
    std::string value;
    AppendBytesField(3, node.instance, value);
    std::string pair;
    AppendBytesField(1, kInstanceKey, pair);
    AppendBytesField(2, value, pair);
    std::string metadata;
    AppendBytesField(1, pair, metadata);
    AppendBytesField(kNodeMetadata, metadata, out);
  }
  if (!node.user_agent.empty()) AppendBytesField(kNodeUserAgent, node.user_agent, out);
  for (const std::string& feature : node.features) AppendBytesField(kNodeFeatures, feature, out);
  return out;
}

std::string EncodeError(const ErrorDetail& error) {
  std::string out;
  if (error.code != 0) AppendVarintField(1, static_cast<std::uint64_t>(error.code), out);
  if (!error.message.empty()) AppendBytesField(2, error.message, out);
  return out;
}

}  // namespace

std::string EncodeDeltaRequest(const DeltaRequest& request) {
  std::string out;
  if (request.node) AppendBytesField(kRequestNode, EncodeNode(*request.node), out);
  if (!request.type_url.empty()) AppendBytesField(kRequestType, request.type_url, out);
  for (const std::string& name : request.subscribe) AppendBytesField(kSubscribe, name, out);
  for (const std::string& name : request.unsubscribe) AppendBytesField(kUnsubscribe, name, out);
  for (const auto& [name, version] : request.initial_versions) {
    std::string pair;
    AppendBytesField(1, name, pair);
    AppendBytesField(2, version, pair);
    AppendBytesField(kInitialVersions, pair, out);
  }
  if (!request.nonce.empty()) AppendBytesField(kRequestNonce, request.nonce, out);
  if (request.error) AppendBytesField(kErrorDetail, EncodeError(*request.error), out);
  return out;
}

StatusOr<DeltaRequest> DecodeDeltaRequest(std::string_view bytes) {
  DeltaRequest request;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() > kLocatorsUnsubscribe) continue;
    if (!in.is_bytes()) return Malformed("DeltaDiscoveryRequest: a field has the wrong wire type");
    RETURN_IF_ERROR(DecodeRequestField(in, request));
  }
  if (!in.ok()) return Malformed("DeltaDiscoveryRequest");
  return request;
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
  AppendBytesField(2, EncodeError(error), message);
  AppendBytesField(kResourceErrors, message, out);
}

}  // namespace common

#include "common/delta_codec.h"

#include "common/names.h"
#include "common/wire.h"
#include "common/xds_limits.h"

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
// Field numbers of DiscoveryRequest.
enum SotwRequestField : std::uint32_t {
  kSotwVersion = 1,
  kSotwNode = 2,
  kSotwNames = 3,
  kSotwType = 4,
  kSotwNonce = 5,
  kSotwErrorDetail = 6,
  kSotwLocators = 7,
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

Status CopyText(std::string_view what, std::string_view bytes, std::string& out) {
  if (!IsUtf8(bytes)) return InvalidArgument("{} is not UTF-8", what);
  out.assign(bytes);
  return OkStatus();
}

Status CheckSize(std::string_view what, std::size_t bytes, std::size_t bytes_max) {
  if (bytes <= bytes_max) return OkStatus();
  return InvalidArgument("{} of {} bytes, at most {} are allowed", what, bytes, bytes_max);
}

Status CopyShortText(std::string_view what, std::string_view bytes, std::string& out) {
  RETURN_IF_ERROR(CheckSize(what, bytes.size(), kResourceNameBytesMax));
  return CopyText(what, bytes, out);
}

Status AddName(std::string_view what, std::string_view bytes, std::vector<std::string>& names) {
  if (names.size() >= kExplicitNamesPerStreamMax) {
    return Error(StatusCode::kResourceExhausted,
                 "{} holds more than {} names: subscribe to a collection, or use a further stream",
                 what, kExplicitNamesPerStreamMax);
  }
  return CopyShortText(what, bytes, names.emplace_back());
}

Status AddFeature(std::string_view bytes, std::vector<std::string>& features) {
  if (features.size() >= kClientFeaturesMax) {
    return InvalidArgument("node.client_features holds more than {} features", kClientFeaturesMax);
  }
  return CopyShortText("node.client_features", bytes, features.emplace_back());
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

Status DecodeNodeField(const WireReader& in, NodeInfo& node) {
  switch (in.field()) {
    case kNodeId:
      return CopyShortText("node.id", in.bytes(), node.id);
    case kNodeCluster:
      return CopyShortText("node.cluster", in.bytes(), node.cluster);
    case kNodeUserAgent:
      return CopyShortText("node.user_agent_name", in.bytes(), node.user_agent);
    case kNodeFeatures:
      return AddFeature(in.bytes(), node.features);
    case kNodeMetadata:
      node.instance = StructString(in.bytes(), kInstanceKey);
      return OkStatus();
    default:
      return OkStatus();
  }
}

Status DecodeNode(std::string_view bytes, NodeInfo& node) {
  RETURN_IF_ERROR(CheckSize("node", bytes.size(), kNodeBytesMax));
  WireReader in(bytes);
  while (in.Next()) {
    if (in.is_bytes()) RETURN_IF_ERROR(DecodeNodeField(in, node));
  }
  return in.ok() ? OkStatus() : Malformed("node");
}

Status DecodeMapEntry(std::string_view bytes, const OnInitialVersion& visit) {
  std::string_view name;
  std::string_view version;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() == 1 && in.is_bytes()) name = in.bytes();
    if (in.field() == 2 && in.is_bytes()) version = in.bytes();
  }
  if (!in.ok()) return Malformed("initial_resource_versions");
  if (!IsUtf8(name) || !IsUtf8(version)) {
    return InvalidArgument("initial_resource_versions is not UTF-8");
  }
  RETURN_IF_ERROR(CheckSize("initial_resource_versions name", name.size(), kResourceNameBytesMax));
  RETURN_IF_ERROR(
      CheckSize("initial_resource_versions version", version.size(), kResourceNameBytesMax));
  visit(name, version);
  return OkStatus();
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

Status SetError(std::string_view bytes, DeltaRequest& request) {
  std::string_view message;
  ErrorDetail& error = request.error.emplace();
  RETURN_IF_ERROR(DecodeRpcStatus(bytes, error.code, message));
  return CopyText("error_detail.message", message, error.message);
}

NodeInfo& NodeOf(DeltaRequest& request) {
  return request.node ? *request.node : request.node.emplace();
}

Status DecodeSotwField(const WireReader& in, DeltaRequest& request) {
  switch (in.field()) {
    case kSotwVersion:
      return CopyShortText("version_info", in.bytes(), request.version_info);
    case kSotwNode:
      return DecodeNode(in.bytes(), NodeOf(request));
    case kSotwNames:
      return AddName("resource_names", in.bytes(), request.subscribe);
    case kSotwType:
      return CopyShortText("type_url", in.bytes(), request.type_url);
    case kSotwNonce:
      return CopyText("response_nonce", in.bytes(), request.nonce);
    case kSotwErrorDetail:
      return SetError(in.bytes(), request);
    case kSotwLocators:
      return AddLocator(in.bytes(), request.subscribe);
    default:
      return OkStatus();
  }
}

Status DecodeRequestField(const WireReader& in, const OnInitialVersion& visit,
                          DeltaRequest& request) {
  switch (in.field()) {
    case kRequestNode:
      return DecodeNode(in.bytes(), NodeOf(request));
    case kRequestType:
      return CopyShortText("type_url", in.bytes(), request.type_url);
    case kSubscribe:
      return AddName("resource_names_subscribe", in.bytes(), request.subscribe);
    case kUnsubscribe:
      return AddName("resource_names_unsubscribe", in.bytes(), request.unsubscribe);
    case kInitialVersions:
      return DecodeMapEntry(in.bytes(), visit);
    case kRequestNonce:
      return CopyText("response_nonce", in.bytes(), request.nonce);
    case kLocatorsSubscribe:
      return AddLocator(in.bytes(), request.subscribe);
    case kLocatorsUnsubscribe:
      return AddLocator(in.bytes(), request.unsubscribe);
    case kErrorDetail:
      return SetError(in.bytes(), request);
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
  if (request.error) AppendBytesField(kErrorDetail, EncodeRpcStatus(*request.error), out);
  return out;
}

StatusOr<DeltaRequest> DecodeDeltaRequest(std::string_view bytes, const OnInitialVersion& visit) {
  DeltaRequest request;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() > kLocatorsUnsubscribe) continue;
    if (!in.is_bytes()) return Malformed("DeltaDiscoveryRequest: a field has the wrong wire type");
    RETURN_IF_ERROR(DecodeRequestField(in, visit, request));
  }
  if (!in.ok()) return Malformed("DeltaDiscoveryRequest");
  return request;
}

StatusOr<DeltaRequest> DecodeDeltaRequest(std::string_view bytes) {
  std::vector<std::pair<std::string, std::string>> versions;
  ASSIGN_OR_RETURN(DeltaRequest request,
                   DecodeDeltaRequest(bytes, [&](std::string_view name, std::string_view version) {
                     versions.emplace_back(name, version);
                   }));
  request.initial_versions = std::move(versions);
  return request;
}

StatusOr<DeltaRequest> DecodeSotwRequest(std::string_view bytes) {
  DeltaRequest request;
  WireReader in(bytes);
  while (in.Next()) {
    if (in.field() > kSotwLocators) continue;
    if (!in.is_bytes()) return Malformed("DiscoveryRequest: a field has the wrong wire type");
    RETURN_IF_ERROR(DecodeSotwField(in, request));
  }
  if (!in.ok()) return Malformed("DiscoveryRequest");
  return request;
}

}  // namespace common

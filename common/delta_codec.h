// Delta xDS messages as value types, and their wire form.
//
// Thread: any.  Lifetime: a DeltaResponseView points into the bytes it was decoded from; a
// DeltaRequest owns what it holds.
// Source: envoy/service/discovery/v3/discovery.proto (proto/), docs/protocol.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/status.h"

namespace common {

struct ErrorDetail {
  int code = 0;  // google.rpc.Code
  std::string message;
};

// google.rpc.Status
std::string EncodeRpcStatus(const ErrorDetail& error);
Status DecodeRpcStatus(std::string_view bytes, int& code, std::string_view& message);

struct NodeInfo {
  std::string id;
  std::string cluster;
  std::string user_agent;
  std::string instance;  // metadata "instance": tells agents of one service apart
  std::vector<std::string> features;
};

struct DeltaRequest {
  std::optional<NodeInfo> node;
  std::string type_url;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::vector<std::pair<std::string, std::string>> initial_versions;  // name → version
  std::string nonce;
  std::optional<ErrorDetail> error;  // present: a NACK
  std::string version_info;          // state of the world only
};

std::string EncodeDeltaRequest(const DeltaRequest& request);
// INVALID_ARGUMENT names what is malformed, RESOURCE_EXHAUSTED the limit that is passed. Unknown
// fields are ignored.
StatusOr<DeltaRequest> DecodeDeltaRequest(std::string_view bytes);
// As above, but hands over each initial version, as views into `bytes`, instead of collecting them.
using OnInitialVersion = std::function<void(std::string_view name, std::string_view version)>;
StatusOr<DeltaRequest> DecodeDeltaRequest(std::string_view bytes, const OnInitialVersion& visit);
// A DiscoveryRequest of the state-of-the-world variant: `subscribe` holds all that is wanted.
StatusOr<DeltaRequest> DecodeSotwRequest(std::string_view bytes);

struct ResourceView {
  std::string_view name;
  std::string_view version;
  std::string_view type_url;  // of the Any
  std::string_view payload;   // value of the Any
  bool has_resource = false;  // false: heartbeat, or the resource does not exist
  bool has_ttl = false;
};

struct ResourceErrorView {
  std::string_view name;
  int code = 0;
  std::string_view message;
};

struct DeltaResponseView {
  std::string_view type_url;
  std::string_view nonce;
  std::string_view system_version;
  std::string_view control_plane;
  std::vector<ResourceView> resources;
  std::vector<std::string_view> removed;
  std::vector<ResourceErrorView> errors;
};

// Fills `response`, reusing its vectors. INVALID_ARGUMENT names what is malformed.
Status DecodeDeltaResponse(std::string_view bytes, DeltaResponseView& response);

// The fields of a response that are not shared between streams: system version, type, nonce and
// control plane; to be sent around spliced `resources` and `removed_resources` fields.
void AppendResponseTrailer(std::string_view type_url, std::string_view system_version,
                           std::string_view nonce, std::string_view control_plane,
                           std::string& out);
// One `resource_errors` field (tag 9).
void AppendResourceErrorField(std::string_view name, const ErrorDetail& error, std::string& out);

}  // namespace common

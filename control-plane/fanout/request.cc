#include "control-plane/fanout/request.h"

#include <utility>
#include <vector>

#include "common/names.h"
#include "common/xds_limits.h"

namespace cp {

common::StatusOr<Request> ParseRequest(Variant variant, std::string_view bytes,
                                       std::shared_ptr<void> charge) {
  Request request;
  if (variant == Variant::kSotw) {
    ASSIGN_OR_RETURN(request.message, common::DecodeSotwRequest(bytes));
    return request;
  }
  const auto text = std::make_shared<VersionText>(std::move(charge));
  std::vector<std::uint32_t> offsets;
  ASSIGN_OR_RETURN(
      request.message,
      common::DecodeDeltaRequest(bytes, [&](std::string_view name, std::string_view version) {
        offsets.push_back(text->Add(name, version));
      }));
  const bool entries = request.message.type_url == common::kEntryType;
  if (!entries && offsets.size() > common::kExplicitNamesPerStreamMax) {
    return common::Error(common::StatusCode::kResourceExhausted,
                         "more than {} initial_resource_versions of type {}",
                         common::kExplicitNamesPerStreamMax, request.message.type_url);
  }
  if (!offsets.empty()) request.versions = InitialVersions(text, offsets, entries);
  return request;
}

}  // namespace cp

// How resources look in the state-of-the-world variant, made from their delta form.
//
// Thread: any.  Lifetime: pure functions over bytes.
// There a response holds Anys without names, so an Entry carries its own; a client with the feature
// xds.config.supports-resource-in-sotw gets each resource inside a Resource instead ("wrapped").
#pragma once

#include <string>
#include <string_view>

namespace cp {

// Takes spliced fields of a DeltaDiscoveryResponse and appends their `resources` as such fields of
// a DiscoveryResponse.
void AppendSotwResources(std::string_view delta_fields, bool wrapped, std::string& out);
// The same for what is missing or refused: `resource_errors`.
void AppendSotwErrors(std::string_view delta_fields, std::string& out);
// The fields that are not shared between streams.
void AppendSotwTrailer(std::string_view type_url, std::string_view version, std::string_view nonce,
                       std::string_view control_plane, std::string& out);

}  // namespace cp

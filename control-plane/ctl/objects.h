// Objects: declared objects in JSON printed as YAML that `apply -f` takes back, and as other forms.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"

namespace ctl {

using Json = nlohmann::ordered_json;

// Block style; text that YAML could take for something else is quoted.
std::string ToYaml(const Json& json);

// One document per object, without its status.
std::string ToYamlDocuments(const std::vector<Json>& objects);

// INTERNAL: the control plane sent something else than JSON objects.
common::StatusOr<std::vector<Json>> ParseObjects(const std::vector<std::string>& texts);

// The text at a path such as {"spec", "owner"}; "" when there is none. Numbers as JSON.
std::string TextAt(const Json& json, const std::vector<std::string>& path);

// "dataset", "datasets", "ds" …→ "Dataset"; "agents" → "Agent"; "" for anything else.
std::string_view KindOfWord(std::string_view word);

}  // namespace ctl

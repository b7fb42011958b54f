#include "control-plane/kube/objects.h"

#include <utility>
#include <vector>

namespace cp {
namespace {

using common::InvalidArgument;
using nlohmann::json;

// The parser counts lines of a file; an object has none: "x:1: spec.owner: …" → "spec.owner: …".
std::string WithoutPlaces(std::string_view faults) {
  constexpr std::string_view kPlace = "x:1: ";
  std::string text;
  while (!faults.empty()) {
    const std::size_t end = std::min(faults.find('\n'), faults.size());
    std::string_view line = faults.substr(0, end);
    if (line.starts_with(kPlace)) line.remove_prefix(kPlace.size());
    text += text.empty() ? "" : "; ";
    text += line;
    faults.remove_prefix(std::min(end + 1, faults.size()));
  }
  return text;
}

common::Status CheckNamespace(const common::Declaration& declaration, const std::string& space) {
  const auto* subscription = std::get_if<common::Subscription>(&declaration);
  if (subscription == nullptr || subscription->service.ends_with("." + space)) {
    return common::OkStatus();
  }
  return InvalidArgument(
      "spec.service: {} is no service of namespace {}: write <serviceaccount>.{}, or move the "
      "Subscription to the service's namespace",
      subscription->service, space, space);
}

}  // namespace

common::StatusOr<common::Declaration> DeclarationOf(const json& object) {
  if (!object.is_object()) return InvalidArgument("is no object");
  const json metadata = object.value("metadata", json::object());
  const json declared = {{"apiVersion", object.value("apiVersion", json())},
                         {"kind", object.value("kind", json())},
                         {"metadata",
                          {{"name", metadata.value("name", json())},
                           {"namespace", metadata.value("namespace", json())}}},
                         {"spec", object.value("spec", json())}};
  auto parsed =
      common::ParseDeclarations(declared.dump(-1, ' ', true, json::error_handler_t::replace), "x");
  if (!parsed.ok()) {
    return InvalidArgument("{}", WithoutPlaces(common::Message(parsed.status())));
  }
  if (parsed->size() != 1) return InvalidArgument("is no Dataset or Subscription");
  RETURN_IF_ERROR(CheckNamespace(parsed->front(), metadata.value("namespace", "")));
  return std::move(parsed->front());
}

}  // namespace cp

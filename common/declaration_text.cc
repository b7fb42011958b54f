#include "common/declaration_text.h"

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/limits.h"
#include "common/names.h"
#include "common/suggest.h"
#include "common/units.h"

namespace common {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

template <class Enum, std::size_t n>
std::string_view NameIn(const std::array<std::pair<std::string_view, Enum>, n>& choices,
                        Enum value) {
  for (const auto& [name, choice] : choices) {
    if (choice == value) return name;
  }
  CHECK(false);
}

Json SpecOf(const Dataset& dataset) {
  return {{"owner", dataset.owner},
          {"consumers", dataset.consumers},
          {"maxValueBytes", dataset.max_value_bytes}};
}

Json SpecOf(const Subscription& subscription) {
  Json spec = {{"service", subscription.service}, {"dataset", subscription.collection.dataset}};
  if (!subscription.collection.prefix.empty()) spec["prefix"] = subscription.collection.prefix;
  spec["mode"] = ModeName(subscription.mode);
  const Consistency& consistency = subscription.consistency;
  spec["consistency"] = {{"level", LevelName(consistency.level)}};
  if (consistency.level == ConsistencyLevel::kBounded) {
    spec["consistency"]["maxStaleness"] = FormatDuration(consistency.max_staleness);
    spec["consistency"]["onStale"] = OnStaleName(consistency.on_stale);
  }
  return spec;
}

}  // namespace

std::string_view KindOf(const Declaration& declaration) {
  return std::holds_alternative<Dataset>(declaration) ? "Dataset" : "Subscription";
}

const std::string& NameOf(const Declaration& declaration) {
  return std::visit([](const auto& object) -> const std::string& { return object.name; },
                    declaration);
}

std::string_view ModeName(Mode mode) { return NameIn(kModes, mode); }
std::string_view LevelName(ConsistencyLevel level) { return NameIn(kLevels, level); }
std::string_view OnStaleName(OnStale on_stale) { return NameIn(kOnStales, on_stale); }

std::string ToJson(const Declaration& declaration) {
  const Json json = {
      {"apiVersion", "tributary.dev/v1alpha1"},
      {"kind", KindOf(declaration)},
      {"metadata", {{"name", NameOf(declaration)}}},
      {"spec", std::visit([](const auto& object) { return SpecOf(object); }, declaration)}};
  // 'replace': a prefix that never came through ParseDeclarations may hold any bytes.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

StatusOr<milliseconds> ParseMaxStaleness(std::string_view text) {
  ASSIGN_OR_RETURN(const milliseconds duration, ParseDuration(text));
  if (duration.count() > 0 && duration <= kMaxStalenessMax) return duration;
  return InvalidArgument("must be more than 0 and at most {}", FormatDuration(kMaxStalenessMax));
}

Status ValidateObjectName(std::string_view name) {
  if (ValidateDatasetName(name).ok()) return OkStatus();
  return InvalidArgument(
      "'{}' is not a name: DNS labels joined by dots (lower-case letters, digits and '-', each "
      "label at most {} bytes, the whole at most {})",
      Printable(name), kDnsLabelBytesMax, kDatasetNameBytesMax);
}

Status ValidateNamespace(std::string_view name) {
  if (name.find('.') == std::string_view::npos && ValidateDatasetName(name).ok()) return OkStatus();
  return InvalidArgument(
      "'{}' is not a namespace: one DNS label (lower-case letters, digits and '-', at most {} "
      "bytes)",
      Printable(name), kDnsLabelBytesMax);
}

Status ValidatePrefix(std::string_view prefix) {
  if (prefix.size() > kKeyBytesMax) {
    return InvalidArgument("prefix has {} bytes, a key has at most {}", prefix.size(),
                           kKeyBytesMax);
  }
  if (!IsUtf8(prefix)) return InvalidArgument("prefix is not UTF-8");
  return OkStatus();
}

StatusOr<Subscription> ParseSubscribeFlag(std::string_view text) {
  constexpr std::string_view kForm =
      "write DATASET[/PREFIX*][:MODE], for example orders.shop/eu-*:replicate";
  Subscription subscription;
  std::string_view rest = text;
  const std::size_t dataset_end = std::min(rest.find_first_of("/:"), rest.size());
  subscription.collection.dataset = rest.substr(0, dataset_end);
  if (const Status status = ValidateDatasetName(subscription.collection.dataset); !status.ok()) {
    return InvalidArgument("'{}': {}: {}", Printable(text), Message(status), kForm);
  }
  rest.remove_prefix(dataset_end);
  if (rest.starts_with('/')) {
    // The prefix may hold ':' and '*': it ends at the last '*'.
    const std::size_t star = rest.rfind('*');
    if (star == std::string_view::npos) {
      return InvalidArgument("'{}': the prefix must end with '*': {}", Printable(text), kForm);
    }
    subscription.collection.prefix = rest.substr(1, star - 1);
    rest.remove_prefix(star + 1);
    if (const Status status = ValidatePrefix(subscription.collection.prefix); !status.ok()) {
      return InvalidArgument("'{}': {}", Printable(text), Message(status));
    }
  }
  if (rest.empty()) return subscription;
  std::vector<std::string_view> names;
  for (const auto& [name, mode] : kModes) {
    if (rest.size() == name.size() + 1 && rest.front() == ':' && rest.ends_with(name)) {
      subscription.mode = mode;
      return subscription;
    }
    names.push_back(name);
  }
  return InvalidArgument("'{}': '{}' is not one of :{}{}: {}", Printable(text), Printable(rest),
                         fmt::join(names, ", :"), DidYouMean(rest.substr(1), names), kForm);
}

}  // namespace common

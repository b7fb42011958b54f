#include "control-plane/kube/reflector.h"

#include <utility>

#include "common/names.h"
#include "common/suggest.h"

namespace cp {
namespace {

using common::InvalidArgument;
using nlohmann::json;

constexpr int kPageObjects = 500;

std::string TextAt(const json& object, const char* pointer) {
  const json value =
      object.is_object() ? object.value(json::json_pointer(pointer), json()) : json();
  return value.is_string() ? value.get<std::string>() : "";
}

}  // namespace

Reflector::Reflector(std::string kind, std::string path, std::string selector)
    : kind_(std::move(kind)), path_(std::move(path)), selector_(std::move(selector)) {}

std::string Reflector::NextPath(std::uint64_t watch_seconds) const {
  const std::string selector =
      selector_.empty() ? "" : "&labelSelector=" + common::PercentEncode(selector_);
  if (!needs_list_) {
    return fmt::format("{}?watch=1&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}{}",
                       path_, watch_seconds, common::PercentEncode(version_), selector);
  }
  const std::string next = continue_.empty() ? "" : "&continue=" + common::PercentEncode(continue_);
  return fmt::format("{}?limit={}{}{}", path_, kPageObjects, next, selector);
}

void Reflector::OnGone() {
  needs_list_ = true;
  continue_.clear();
  pages_.clear();
}

common::StatusOr<std::vector<KubeEvent>> Reflector::OnList(std::string_view body) {
  const json list = json::parse(body, nullptr, false);
  const std::string version = TextAt(list, "/metadata/resourceVersion");
  if (version.empty() || !list.contains("items") ||
      !(list["items"].is_array() || list["items"].is_null())) {
    OnGone();
    return InvalidArgument("no list of {}: {}", kind_, common::Printable(body));
  }
  const json group = {{"apiVersion", TextAt(list, "/apiVersion")}, {"kind", kind_}};
  for (const json& item : list["items"]) {
    pages_.push_back(item);
    pages_.back().update(group);  // items of a list do not say what they are
  }
  continue_ = TextAt(list, "/metadata/continue");
  if (!continue_.empty()) return std::vector<KubeEvent>();
  version_ = version;
  needs_list_ = false;
  KubeEvent event{.type = KubeEvent::Type::kReplaced, .kind = kind_};
  event.objects.swap(pages_);
  return std::vector<KubeEvent>{std::move(event)};
}

common::StatusOr<std::vector<KubeEvent>> Reflector::OnLine(std::string_view line) {
  const json event = json::parse(line, nullptr, false);
  const std::string type = TextAt(event, "/type");
  if (type == "ERROR") {
    OnGone();
    return common::Error(common::StatusCode::kOutOfRange, "watch of {}: {}", kind_,
                         TextAt(event, "/object/message"));
  }
  const std::string version = TextAt(event, "/object/metadata/resourceVersion");
  if (version.empty()) {
    OnGone();
    return InvalidArgument("watch of {}: {}", kind_, common::Printable(line));
  }
  version_ = version;
  if (type == "BOOKMARK") return std::vector<KubeEvent>();
  KubeEvent told{.type = type == "DELETED" ? KubeEvent::Type::kDeleted : KubeEvent::Type::kChanged,
                 .kind = kind_,
                 .objects = {event.at("object")}};
  if (type != "DELETED" && type != "ADDED" && type != "MODIFIED") return std::vector<KubeEvent>();
  return std::vector<KubeEvent>{std::move(told)};
}

}  // namespace cp

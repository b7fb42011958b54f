#include "control-plane/ctl/objects.h"

#include <algorithm>
#include <array>
#include <utility>

#include "common/yaml.h"
#include "control-plane/ctl/json_text.h"

namespace ctl {
namespace {

bool IsPlainByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '/' || c == '-';
}

// Text that every YAML reader takes for the same text without quotes.
bool IsPlain(const std::string& text) {
  if (text.empty() || text.front() == '-' || text.front() == '.') return false;
  if (text == "null" || text == "y" || text == "n") return false;
  if (!std::ranges::all_of(text, IsPlainByte)) return false;
  common::YamlNode node;
  node.kind = common::YamlNode::Kind::kScalar;
  node.text = text;
  return !node.LooksLikeNonText();
}

std::string ScalarText(const Json& json) {
  if (!json.is_string()) return json.dump();
  const auto& text = json.get_ref<const std::string&>();
  if (IsPlain(text)) return text;
  std::string quoted;
  AppendJsonString(text, quoted);
  return quoted;
}

void AppendYaml(const Json& json, std::size_t indent, std::string& out) {
  const std::string blanks(indent, ' ');
  if (json.is_structured() && json.empty()) {
    out += json.is_object() ? " {}\n" : " []\n";
  } else if (json.is_object()) {
    if (!out.empty() && out.back() != '\n') out += '\n';
    for (const auto& [name, value] : json.items()) {
      out += blanks + ScalarText(name) + ":";
      AppendYaml(value, indent + 2, out);
    }
  } else if (json.is_array()) {
    out += '\n';
    for (const Json& item : json) {
      out += blanks + "-";
      if (item.is_structured() && !item.empty()) {
        // The first line of the item stands behind its dash.
        std::string inner;
        AppendYaml(item, indent + 2, inner);
        const std::size_t begin = inner.find_first_not_of(" \n");
        out += " " + inner.substr(begin);
      } else {
        AppendYaml(item, indent + 2, out);
      }
    }
  } else {
    out += " " + ScalarText(json) + "\n";
  }
}

}  // namespace

std::string ToYaml(const Json& json) {
  std::string out;
  AppendYaml(json, 0, out);
  const std::size_t begin = out.find_first_not_of(" \n");
  return begin == std::string::npos ? out : out.substr(begin);
}

std::string ToYamlDocuments(const std::vector<Json>& objects) {
  std::string out;
  for (Json object : objects) {
    object.erase("status");
    if (!out.empty()) out += "---\n";
    out += ToYaml(object);
  }
  return out;
}

common::StatusOr<std::vector<Json>> ParseObjects(const std::vector<std::string>& texts) {
  std::vector<Json> objects;
  for (const std::string& text : texts) {
    Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) {
      return common::Error(common::StatusCode::kInternal,
                           "the control plane sent an object that is not JSON");
    }
    objects.push_back(std::move(json));
  }
  return objects;
}

std::string TextAt(const Json& json, const std::vector<std::string>& path) {
  const Json* at = &json;
  for (const std::string& name : path) {
    if (!at->is_object() || !at->contains(name)) return {};
    at = &(*at)[name];
  }
  return at->is_string() ? at->get<std::string>() : at->dump();
}

std::string_view KindOfWord(std::string_view word) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kWords = {
      {{"dataset", "Dataset"},
       {"datasets", "Dataset"},
       {"ds", "Dataset"},
       {"Dataset", "Dataset"},
       {"subscription", "Subscription"},
       {"subscriptions", "Subscription"},
       {"sub", "Subscription"},
       {"Subscription", "Subscription"},
       {"agent", "Agent"},
       {"agents", "Agent"}}};
  const auto* found = std::ranges::find(kWords, word, [](const auto& pair) { return pair.first; });
  return found == kWords.end() ? std::string_view() : found->second;
}

}  // namespace ctl

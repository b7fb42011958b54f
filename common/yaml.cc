#include "common/yaml.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <exception>
#include <optional>
#include <sstream>
#include <utility>

#include "common/limits.h"
#include "common/names.h"

namespace common {
namespace {

// Thrown through yaml-cpp's parser, caught by ParseYaml.
struct Refused {
  int line;
  std::string message;
};

int LineOf(const YAML::Mark& mark) { return std::max(mark.line, 0) + 1; }

// Builds the tree of one document from the parser's events.
class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(std::vector<YamlNode>& documents, std::size_t& nodes)
      : documents_(documents), nodes_(nodes) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    // yaml-cpp stays for ever in front of a token that cannot begin a document, such as ','.
    if (mark.pos == document_begin_) throw Refused{LineOf(mark), "not valid YAML: stray character"};
    document_begin_ = mark.pos;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Add(Make(YamlNode::Kind::kNull, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{LineOf(mark), "aliases (*name) are not supported: write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                const std::string& value) override {
    YamlNode node = Make(YamlNode::Kind::kScalar, mark);
    node.quoted = IsText(tag, mark);
    if (!node.quoted && (value == "null" || value == "Null" || value == "NULL" || value == "~")) {
      node.kind = YamlNode::Kind::kNull;
    }
    node.text = value;
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kSequence, tag, mark);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, tag, mark);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapEnd() override { Close(); }

 private:
  struct Level {
    YamlNode node;
    std::optional<YamlMember> member = {};  // of a map: its key has come, its value has not
  };

  // False: a plain scalar. Tags other than "text" would need a resolver of their own.
  static bool IsText(const std::string& tag, const YAML::Mark& mark) {
    if (tag.empty() || tag == "?") return false;
    if (tag == "!" || tag == "tag:yaml.org,2002:str") return true;
    throw Refused{LineOf(mark), fmt::format("tag '{}' is not supported: leave it out", tag)};
  }

  YamlNode Make(YamlNode::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kYamlNodesMax) {
      throw Refused{LineOf(mark),
                    fmt::format("more than {} values: split the text", kYamlNodesMax)};
    }
    YamlNode node;
    node.kind = kind;
    node.line = LineOf(mark);
    return node;
  }

  void Open(YamlNode::Kind kind, const std::string& tag, const YAML::Mark& mark) {
    if (open_.size() >= kYamlDepthMax) {
      throw Refused{LineOf(mark), fmt::format("nested deeper than {} levels", kYamlDepthMax)};
    }
    if (tag != "!") (void)IsText(tag, mark);
    open_.push_back({Make(kind, mark)});
  }

  void Close() {
    YamlNode node = std::move(open_.back().node);
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      documents_.push_back(std::move(node));
      return;
    }
    Level& parent = open_.back();
    if (parent.node.kind == YamlNode::Kind::kSequence) {
      parent.node.items.push_back(std::move(node));
    } else if (parent.member) {
      parent.member->value = std::move(node);
      parent.node.members.push_back(std::move(*parent.member));
      parent.member.reset();
    } else if (node.kind == YamlNode::Kind::kScalar) {
      parent.member = YamlMember{std::move(node.text), node.line, {}};
    } else {
      throw Refused{node.line, "a field name must be text"};
    }
  }

  std::vector<YamlNode>& documents_;
  std::size_t& nodes_;
  std::vector<Level> open_;
  int document_begin_ = -1;
};

int LineAt(std::string_view text, std::size_t offset) {
  return 1 + static_cast<int>(std::ranges::count(text.substr(0, offset), '\n'));
}

// yaml-cpp would end the text at 0x04 and take bytes that are not UTF-8 as they come.
std::optional<YamlFault> CheckBytes(std::string_view text) {
  if (text.size() > kYamlBytesMax) {
    return YamlFault{1, fmt::format("{} bytes, at most {} are allowed: split the text", text.size(),
                                    kYamlBytesMax)};
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if ((byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F) {
      return YamlFault{LineAt(text, i), fmt::format("control byte 0x{:02x} is not allowed: write "
                                                    "it as \"\\x{:02x}\" in quotes",
                                                    byte, byte)};
    }
  }
  if (IsUtf8(text)) return std::nullopt;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (!IsUtf8(text.substr(begin, end - begin))) {
      return YamlFault{LineAt(text, begin), "not UTF-8: save the text as UTF-8"};
    }
    begin = end + 1;
  }
  return YamlFault{1, "not UTF-8: save the text as UTF-8"};
}

}  // namespace

bool YamlNode::LooksLikeNonText() const {
  if (kind != Kind::kScalar || quoted || text.empty()) return false;
  std::string lower = text;
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static constexpr std::array<std::string_view, 8> kWords = {"true", "false", "yes",  "no",
                                                             "on",   "off",   ".nan", ".inf"};
  if (std::ranges::find(kWords, lower) != kWords.end()) return true;
  // Digits with at most a sign, one point and one exponent; hexadecimal and octal forms.
  if (lower.starts_with("0x") || lower.starts_with("0o")) {
    return lower.find_first_not_of("0123456789abcdef", 2) == std::string::npos;
  }
  const std::size_t begin = lower.find_first_of("+-") == 0 ? 1 : 0;
  const std::size_t mantissa = lower.find_first_not_of("0123456789.", begin);
  if (mantissa == begin || lower.find_first_of("0123456789", begin) >= mantissa) return false;
  if (std::ranges::count(lower, '.') > 1) return false;
  if (mantissa == std::string::npos) return true;
  if (lower[mantissa] != 'e') return false;
  const std::size_t exponent = lower.find_first_not_of("+-", mantissa + 1);
  return exponent != std::string::npos &&
         lower.find_first_not_of("0123456789", exponent) == std::string::npos;
}

std::string_view Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return node.LooksLikeNonText() ? "a number or truth value" : "text";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMap:
      return "an object";
  }
  return "nothing";
}

YamlText ParseYaml(std::string_view text) {
  YamlText result;
  if (std::optional<YamlFault> fault = CheckBytes(text)) {
    result.faults.push_back(std::move(*fault));
    return result;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    std::size_t nodes = 0;
    TreeBuilder builder(result.documents, nodes);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const Refused& refused) {
    result.faults.push_back({refused.line, refused.message});
  } catch (const YAML::Exception& error) {
    result.faults.push_back({LineOf(error.mark), fmt::format("not valid YAML: {}", error.msg)});
  } catch (const std::exception& error) {
    result.faults.push_back({1, fmt::format("not valid YAML: {}", error.what())});
  }
  return result;
}

}  // namespace common

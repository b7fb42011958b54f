// YamlNode: a YAML (or JSON) text as a tree that knows the line of everything in it.
//
// Thread: any.  Lifetime: values.
// The only file that meets yaml-cpp and its exceptions. Aliases and tags other than !!str are
// refused and depth, size and number of nodes are bounded, so a hostile text costs no more than it
// weighs. Duplicate keys are kept: the reader of the tree reports them with their field path.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace common {

struct YamlMember;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  int line = 1;                     // counted from 1
  bool quoted = false;              // of a scalar: surely text, whatever it looks like
  std::string text = {};            // of a scalar
  std::vector<YamlNode> items;      // of a sequence
  std::vector<YamlMember> members;  // of a map, in the order of the text

  // A plain scalar that YAML takes for a number or a truth value.
  bool LooksLikeNonText() const;
};

struct YamlMember {
  std::string key;
  int line = 1;
  YamlNode value;
};

// "text", "a list", …: for complaints about a wrong type.
std::string_view Describe(const YamlNode& node);

struct YamlFault {
  int line = 1;
  std::string message;
};

struct YamlText {
  std::vector<YamlNode> documents;  // those before the first fault; empty ones are kNull
  std::vector<YamlFault> faults;    // empty: `documents` is the whole text
};

YamlText ParseYaml(std::string_view text);

}  // namespace common

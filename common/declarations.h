// Declarations: what operators write – Dataset and Subscription objects in the form of Kubernetes
// resources – parsed, validated and printed.
//
// Thread: any.  Lifetime: values.
// The format is the public contract (docs/configuration.md, "Declarations"): YAML, several
// documents a file, or a List as kubectl prints it, or a list; JSON is read as YAML.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/limits.h"
#include "common/names.h"
#include "common/status.h"

namespace common {

struct Dataset {
  std::string name = {};  // metadata.name[.metadata.namespace]
  std::string owner = {};
  std::vector<std::string> consumers = {};  // patterns, see ServiceMatches
  std::size_t max_value_bytes = kValueBytesMax;
  friend bool operator==(const Dataset&, const Dataset&) = default;
};

enum class Mode { kReplicate, kOnDemand, kReadThrough };
enum class ConsistencyLevel { kEventual, kBounded, kStrong };
enum class OnStale { kServe, kReadThrough, kError };

struct Consistency {
  ConsistencyLevel level = ConsistencyLevel::kEventual;
  std::chrono::milliseconds max_staleness{0};  // > 0 iff bounded
  OnStale on_stale = OnStale::kServe;
  friend bool operator==(const Consistency&, const Consistency&) = default;
};

struct Subscription {
  std::string name = {};  // metadata.name[.metadata.namespace]
  std::string service = {};
  Collection collection = {};
  Mode mode = Mode::kReplicate;
  Consistency consistency = {};
  friend bool operator==(const Subscription&, const Subscription&) = default;
};

using Declaration = std::variant<Dataset, Subscription>;

std::string_view KindOf(const Declaration& declaration);  // "Dataset" | "Subscription"
const std::string& NameOf(const Declaration& declaration);

// All documents of `text` or none. INVALID_ARGUMENT: "<file>:<line>: <field path>: <what to do>",
// one line a fault, every fault of the text. Unknown fields, wrong types, duplicate objects and
// values out of range are faults. Empty documents are skipped.
StatusOr<std::vector<Declaration>> ParseDeclarations(std::string_view text, std::string_view file);

// One object as one line of JSON in the declared form (apiVersion, kind, metadata, spec).
std::string ToJson(const Declaration& declaration);

// The value of --subscribe: DATASET[/PREFIX*][:MODE]. The result has no name and no service.
StatusOr<Subscription> ParseSubscribeFlag(std::string_view text);

std::string_view ModeName(Mode mode);  // "replicate" | "onDemand" | "readThrough"
std::string_view LevelName(ConsistencyLevel level);
std::string_view OnStaleName(OnStale on_stale);

}  // namespace common

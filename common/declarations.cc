#include "common/declarations.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "common/declaration_text.h"
#include "common/suggest.h"
#include "common/yaml.h"

namespace common {
namespace {

constexpr std::string_view kApiVersion = "tributary.dev/v1alpha1";
constexpr std::size_t kFaultBytesMax = 500;

struct Fault {
  int line = 1;
  std::string text;
};

// A value with where it stands: what every complaint needs.
struct Field {
  const YamlNode* node;
  std::string path;
  int line;
};

std::string Join(std::string_view path, std::string_view name) {
  return path.empty() ? std::string(name) : fmt::format("{}.{}", path, name);
}

// Reads one text; collects every fault instead of stopping at the first.
class Reader {
 public:
  void ReadDocument(const YamlNode& node);
  std::vector<Declaration> declarations;
  std::vector<Fault> faults;

 private:
  using Names = std::span<const std::string_view>;

  template <class... Args>
  void Complain(const Field& field, fmt::format_string<Args...> format, Args&&... args) {
    const std::string what =
        Printable(fmt::format(format, std::forward<Args>(args)...), kFaultBytesMax);
    faults.push_back(
        {field.line, field.path.empty() ? what : fmt::format("{}: {}", field.path, what)});
  }

  void ReadObject(const Field& object);
  void ReadList(const Field& list);
  void ReadDataset(const Field& object, std::string name);
  void ReadSubscription(const Field& object, std::string name);
  std::string ReadName(const Field& object);
  Consistency ReadConsistency(const Field& spec);
  std::vector<std::string> ReadConsumers(const Field& spec);

  // The member, null or missing: absent. REQUIRES: `map` is a map.
  std::optional<Field> Find(const Field& map, std::string_view name);
  // Complains about a value that is not an object, or missing when required.
  std::optional<Field> FindMap(const Field& map, std::string_view name, bool required);
  std::optional<std::string> Text(const Field& map, std::string_view name, bool required);
  std::optional<std::string> TextOf(const Field& field);
  template <class Enum, std::size_t n>
  Enum Choice(const Field& map, std::string_view name,
              const std::array<std::pair<std::string_view, Enum>, n>& choices, Enum otherwise);
  std::string ValidName(const Field& map, std::string_view name,
                        Status (*validate)(std::string_view));
  void RejectUnknown(const Field& map, Names known);
  void RejectDuplicateKeys(const Field& field);
  void Add(const Field& object, Declaration declaration);

  std::map<std::string, int> lines_;  // "<kind> <name>" → line of the first one
};

std::optional<Field> Reader::Find(const Field& map, std::string_view name) {
  for (const YamlMember& member : map.node->members) {
    if (member.key != name || member.value.kind == YamlNode::Kind::kNull) continue;
    return Field{&member.value, Join(map.path, name), member.line};
  }
  return std::nullopt;
}

std::optional<Field> Reader::FindMap(const Field& map, std::string_view name, bool required) {
  std::optional<Field> field = Find(map, name);
  if (!field) {
    if (required) Complain({map.node, Join(map.path, name), map.line}, "is required");
    return std::nullopt;
  }
  if (field->node->kind == YamlNode::Kind::kMap) return field;
  Complain(*field, "must be an object, not {}", Describe(*field->node));
  return std::nullopt;
}

std::optional<std::string> Reader::TextOf(const Field& field) {
  const YamlNode& node = *field.node;
  if (node.kind != YamlNode::Kind::kScalar) {
    Complain(field, "must be text, not {}", Describe(node));
    return std::nullopt;
  }
  if (node.LooksLikeNonText()) {
    Complain(field, "must be text: put {} in quotes: \"{}\"", node.text, node.text);
    return std::nullopt;
  }
  return node.text;
}

std::optional<std::string> Reader::Text(const Field& map, std::string_view name, bool required) {
  if (const std::optional<Field> field = Find(map, name)) return TextOf(*field);
  if (required) Complain({map.node, Join(map.path, name), map.line}, "is required");
  return std::nullopt;
}

template <class Enum, std::size_t n>
Enum Reader::Choice(const Field& map, std::string_view name,
                    const std::array<std::pair<std::string_view, Enum>, n>& choices,
                    Enum otherwise) {
  const std::optional<std::string> text = Text(map, name, false);
  if (!text) return otherwise;
  std::vector<std::string_view> names;
  for (const auto& [choice, value] : choices) {
    if (choice == *text) return value;
    names.push_back(choice);
  }
  Complain(*Find(map, name), "'{}' is not one of {}{}", *text, fmt::join(names, ", "),
           DidYouMean(*text, names));
  return otherwise;
}

std::string Reader::ValidName(const Field& map, std::string_view name,
                              Status (*validate)(std::string_view)) {
  std::optional<std::string> text = Text(map, name, true);
  if (!text) return {};
  if (const Status status = validate(*text); !status.ok()) {
    Complain(*Find(map, name), "{}", Message(status));
  }
  return *std::move(text);
}

void Reader::RejectUnknown(const Field& map, Names known) {
  for (const YamlMember& member : map.node->members) {
    if (std::ranges::find(known, member.key) != known.end()) continue;
    Complain({&member.value, Join(map.path, Printable(member.key)), member.line},
             "unknown field; known here: {}{}", fmt::join(known, ", "),
             DidYouMean(member.key, known));
  }
}

void Reader::RejectDuplicateKeys(const Field& field) {
  std::map<std::string_view, int> seen;
  for (const YamlMember& member : field.node->members) {
    const Field child{&member.value, Join(field.path, Printable(member.key)), member.line};
    const auto [first, is_new] = seen.emplace(member.key, member.line);
    if (!is_new) Complain(child, "is given twice, first in line {}: remove one", first->second);
    RejectDuplicateKeys(child);
  }
  for (std::size_t i = 0; i < field.node->items.size(); ++i) {
    const YamlNode& item = field.node->items[i];
    RejectDuplicateKeys({&item, fmt::format("{}[{}]", field.path, i), item.line});
  }
}

void Reader::ReadDocument(const YamlNode& node) {
  if (node.kind == YamlNode::Kind::kNull) return;
  const Field document{&node, "", node.line};
  RejectDuplicateKeys(document);
  if (node.kind == YamlNode::Kind::kSequence) return ReadList(document);
  if (node.kind == YamlNode::Kind::kMap) {
    // "kubectl get -o yaml" wraps several objects in a List.
    const std::optional<Field> kind = Find(document, "kind");
    const std::optional<Field> items = Find(document, "items");
    if (kind && items && kind->node->text.ends_with("List")) return ReadList(*items);
  }
  ReadObject(document);
}

void Reader::ReadList(const Field& list) {
  if (list.node->kind != YamlNode::Kind::kSequence) {
    return Complain(list, "must be a list, not {}", Describe(*list.node));
  }
  for (std::size_t i = 0; i < list.node->items.size(); ++i) {
    const YamlNode& item = list.node->items[i];
    ReadObject({&item, fmt::format("{}[{}]", list.path, i), item.line});
  }
}

void Reader::ReadObject(const Field& object) {
  static constexpr std::array<std::string_view, 5> kKnown = {"apiVersion", "kind", "metadata",
                                                             "spec", "status"};
  static constexpr std::array<std::string_view, 2> kKinds = {"Dataset", "Subscription"};
  if (object.node->kind != YamlNode::Kind::kMap) {
    return Complain(object,
                    "a declaration must be an object with apiVersion, kind, metadata and "
                    "spec, not {}",
                    Describe(*object.node));
  }
  RejectUnknown(object, kKnown);
  const std::optional<std::string> version = Text(object, "apiVersion", true);
  if (version && *version != kApiVersion) {
    Complain(*Find(object, "apiVersion"), "'{}' is not supported: write {}", *version, kApiVersion);
  }
  const std::optional<std::string> kind = Text(object, "kind", true);
  std::string name = ReadName(object);
  if (kind == "Dataset") return ReadDataset(object, std::move(name));
  if (kind == "Subscription") return ReadSubscription(object, std::move(name));
  if (kind) {
    Complain(*Find(object, "kind"), "'{}' is not one of Dataset, Subscription{}", *kind,
             DidYouMean(*kind, kKinds));
  }
}

std::string Reader::ReadName(const Field& object) {
  // The rest is what an API server adds; it means nothing here.
  static constexpr std::array<std::string_view, 15> kKnown = {"name",
                                                              "namespace",
                                                              "labels",
                                                              "annotations",
                                                              "uid",
                                                              "resourceVersion",
                                                              "generation",
                                                              "creationTimestamp",
                                                              "managedFields",
                                                              "selfLink",
                                                              "finalizers",
                                                              "ownerReferences",
                                                              "deletionTimestamp",
                                                              "deletionGracePeriodSeconds",
                                                              "generateName"};
  const std::optional<Field> metadata = FindMap(object, "metadata", true);
  if (!metadata) return {};
  for (const YamlMember& member : metadata->node->members) {
    if (std::ranges::find(kKnown, member.key) != kKnown.end()) continue;
    Complain({&member.value, Join(metadata->path, Printable(member.key)), member.line},
             "unknown field; known here: name, namespace, labels, annotations{}",
             DidYouMean(member.key, std::span(kKnown).first(4)));
  }
  (void)FindMap(*metadata, "labels", false);
  (void)FindMap(*metadata, "annotations", false);
  const std::optional<std::string> name = Text(*metadata, "name", true);
  const std::optional<std::string> space = Text(*metadata, "namespace", false);
  if (!name) return {};
  if (const Status status = ValidateObjectName(*name); !status.ok()) {
    Complain(*Find(*metadata, "name"), "{}", Message(status));
    return *name;
  }
  if (!space) return *name;
  if (const Status status = ValidateNamespace(*space); !status.ok()) {
    Complain(*Find(*metadata, "namespace"), "{}", Message(status));
  } else if (name->size() + 1 + space->size() > kDatasetNameBytesMax) {
    Complain(*Find(*metadata, "name"),
             "with its namespace the name has {} bytes, at most {} are "
             "allowed",
             name->size() + 1 + space->size(), kDatasetNameBytesMax);
  }
  return fmt::format("{}.{}", *name, *space);
}

void Reader::ReadDataset(const Field& object, std::string name) {
  static constexpr std::array<std::string_view, 3> kKnown = {"owner", "consumers", "maxValueBytes"};
  const std::optional<Field> spec = FindMap(object, "spec", true);
  if (!spec) return;
  RejectUnknown(*spec, kKnown);
  Dataset dataset{.name = std::move(name),
                  .owner = ValidName(*spec, "owner", &ValidateServiceName),
                  .consumers = ReadConsumers(*spec)};
  if (const std::optional<Field> field = Find(*spec, "maxValueBytes")) {
    const std::string& text = field->node->text;
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (field->node->kind != YamlNode::Kind::kScalar || field->node->quoted || text.empty() ||
        error != std::errc() || end != text.data() + text.size() || value < 1 ||
        value > kValueBytesMax) {
      Complain(*field, "must be a whole number of bytes from 1 to {}", kValueBytesMax);
    }
    dataset.max_value_bytes = value;
  }
  Add(object, std::move(dataset));
}

std::vector<std::string> Reader::ReadConsumers(const Field& spec) {
  const std::optional<Field> field = Find(spec, "consumers");
  std::vector<std::string> consumers;
  if (!field) return consumers;
  if (field->node->kind != YamlNode::Kind::kSequence) {
    Complain(*field, "must be a list of service names or patterns such as [\"*.shop\"], not {}",
             Describe(*field->node));
    return consumers;
  }
  if (field->node->items.size() > kConsumersMax) {
    Complain(*field, "has {} patterns, at most {} are allowed: use \"*.<suffix>\"",
             field->node->items.size(), kConsumersMax);
    return consumers;
  }
  for (std::size_t i = 0; i < field->node->items.size(); ++i) {
    const YamlNode& node = field->node->items[i];
    const Field item{&node, fmt::format("{}[{}]", field->path, i), node.line};
    std::optional<std::string> pattern = TextOf(item);
    if (!pattern) continue;
    const Status status = ValidateServicePattern(*pattern);
    if (!status.ok()) Complain(item, "{}", Message(status));
    consumers.push_back(*std::move(pattern));
  }
  return consumers;
}

void Reader::ReadSubscription(const Field& object, std::string name) {
  static constexpr std::array<std::string_view, 5> kKnown = {"service", "dataset", "prefix", "mode",
                                                             "consistency"};
  const std::optional<Field> spec = FindMap(object, "spec", true);
  if (!spec) return;
  RejectUnknown(*spec, kKnown);
  Subscription subscription{
      .name = std::move(name),
      .service = ValidName(*spec, "service", &ValidateServiceName),
      .collection = {.dataset = ValidName(*spec, "dataset", &ValidateDatasetName),
                     .prefix = Text(*spec, "prefix", false).value_or("")},
      .mode = Choice(*spec, "mode", kModes, Mode::kReplicate)};
  if (const Status status = ValidatePrefix(subscription.collection.prefix); !status.ok()) {
    Complain(*Find(*spec, "prefix"), "{}", Message(status));
  }
  subscription.consistency = ReadConsistency(*spec);
  Add(object, std::move(subscription));
}

Consistency Reader::ReadConsistency(const Field& spec) {
  static constexpr std::array<std::string_view, 3> kKnown = {"level", "maxStaleness", "onStale"};
  const std::optional<Field> map = FindMap(spec, "consistency", false);
  if (!map) return {};
  RejectUnknown(*map, kKnown);
  Consistency consistency{.level = Choice(*map, "level", kLevels, ConsistencyLevel::kEventual),
                          .on_stale = Choice(*map, "onStale", kOnStales, OnStale::kServe)};
  // A level that could not be read has been complained about; what depends on it is not.
  const std::optional<Field> level = Find(*map, "level");
  const bool level_known = !level || LevelName(consistency.level) == level->node->text;
  const bool bounded = consistency.level == ConsistencyLevel::kBounded;
  const std::optional<Field> staleness = Find(*map, "maxStaleness");
  if (staleness) {
    const std::optional<std::string> text = TextOf(*staleness);
    const StatusOr<std::chrono::milliseconds> parsed =
        text ? ParseMaxStaleness(*text) : std::chrono::milliseconds(0);
    if (!parsed.ok()) Complain(*staleness, "{}", Message(parsed.status()));
    consistency.max_staleness = parsed.value_or(std::chrono::milliseconds(0));
  }
  if (!level_known) return consistency;
  if (bounded && !staleness) {
    Complain({map->node, Join(map->path, "maxStaleness"), map->line},
             "is required with level bounded, for example 5s");
  }
  if (!bounded && staleness) {
    Complain(*staleness, "only goes with level bounded: remove it, or write level: bounded");
  }
  if (const std::optional<Field> on_stale = Find(*map, "onStale"); on_stale && !bounded) {
    Complain(*on_stale, "only goes with level bounded: remove it, or write level: bounded");
  }
  return consistency;
}

void Reader::Add(const Field& object, Declaration declaration) {
  const std::string& name = NameOf(declaration);
  if (!name.empty()) {
    const std::string identity = fmt::format("{} {}", KindOf(declaration), name);
    const auto [first, is_new] = lines_.emplace(identity, object.line);
    if (!is_new) {
      Complain({object.node, Join(object.path, "metadata.name"), object.line},
               "{} is declared twice, first in line {}: remove one", Printable(identity),
               first->second);
    }
  }
  declarations.push_back(std::move(declaration));
}

}  // namespace

StatusOr<std::vector<Declaration>> ParseDeclarations(std::string_view text, std::string_view file) {
  const YamlText yaml = ParseYaml(text);
  Reader reader;
  for (const YamlNode& document : yaml.documents) reader.ReadDocument(document);
  for (const YamlFault& fault : yaml.faults) reader.faults.push_back({fault.line, fault.message});
  if (reader.faults.empty()) return std::move(reader.declarations);
  std::ranges::stable_sort(reader.faults, {}, &Fault::line);
  std::string message;
  for (const Fault& fault : reader.faults) {
    fmt::format_to(std::back_inserter(message), "{}{}:{}: {}", message.empty() ? "" : "\n", file,
                   fault.line, fault.text);
  }
  return Status(StatusCode::kInvalidArgument, message);
}

}  // namespace common

#include "control-plane/manifests/manifest_set.h"

#include <set>
#include <utility>

namespace cp {
namespace {

std::string IdOf(std::string_view kind, std::string_view name) {
  return fmt::format("{} {}", kind, name);
}

std::string IdOf(const common::Declaration& object) {
  return IdOf(common::KindOf(object), common::NameOf(object));
}

// True if the catalog already holds `object` as declared by `file`.
template <class T>
bool Holds(const std::map<std::string, Declared<T>, std::less<>>& declared, const T& object,
           const std::string& file) {
  const auto found = declared.find(object.name);
  return found != declared.end() && found->second.source == Source::kManifests &&
         found->second.origin == file && found->second.object == object;
}

bool Holds(const Catalog& catalog, const common::Declaration& object, const std::string& file) {
  if (const auto* dataset = std::get_if<common::Dataset>(&object)) {
    return Holds(catalog.datasets, *dataset, file);
  }
  return Holds(catalog.subscriptions, std::get<common::Subscription>(object), file);
}

// Withdraws what came from manifests and is declared by none, unless its file is unreadable just
// now.
template <class T>
void Withdraw(const std::map<std::string, Declared<T>, std::less<>>& declared,
              std::string_view kind, const std::set<std::string>& wanted,
              const std::set<std::string>& unknown_files, std::vector<DeclarationChange>& changes) {
  for (const auto& [name, entry] : declared) {
    if (entry.source != Source::kManifests || wanted.contains(IdOf(kind, name))) continue;
    if (unknown_files.contains(entry.origin)) continue;
    changes.push_back({.kind = std::string(kind),
                       .name = name,
                       .object = std::nullopt,
                       .source = Source::kManifests,
                       .origin = entry.origin});
  }
}

}  // namespace

void ManifestSet::Put(const std::string& file, Parsed parsed) {
  File& entry = files_[file];
  if (!parsed.ok()) {
    entry.fault = std::string(common::Message(parsed.status()));
    return;
  }
  entry.objects = *std::move(parsed);
  entry.fault.clear();
  entry.known = true;
}

void ManifestSet::Remove(const std::string& file) { files_.erase(file); }

std::map<std::string, std::string> ManifestSet::Owners() const {
  std::map<std::string, std::string> owners;
  for (const auto& [file, entry] : files_) {
    for (const common::Declaration& object : entry.objects) owners.emplace(IdOf(object), file);
  }
  return owners;
}

std::map<std::string, std::string> ManifestSet::Faults() const {
  std::map<std::string, std::string> faults;
  const std::map<std::string, std::string> owners = Owners();
  for (const auto& [file, entry] : files_) {
    if (!entry.fault.empty()) faults[file] = entry.fault;
    for (const common::Declaration& object : entry.objects) {
      const std::string& owner = owners.at(IdOf(object));
      if (owner == file || faults.contains(file)) continue;
      faults[file] = fmt::format("{}: {} is also declared in {}; remove one of the two", file,
                                 IdOf(object), owner);
    }
  }
  return faults;
}

std::vector<ManifestPlan> ManifestSet::Plan(const Catalog& catalog) const {
  const std::map<std::string, std::string> owners = Owners();
  std::set<std::string> wanted;
  std::set<std::string> unknown_files;  // their objects of an earlier run stay
  std::vector<ManifestPlan> plans;
  for (const auto& [file, entry] : files_) {
    if (!entry.known) unknown_files.insert(file);
    ManifestPlan plan{.file = file, .changes = {}};
    bool in_conflict = false;
    for (const common::Declaration& object : entry.objects) {
      wanted.insert(IdOf(object));
      in_conflict = in_conflict || owners.at(IdOf(object)) != file;
      if (Holds(catalog, object, file)) continue;
      plan.changes.push_back({.kind = std::string(common::KindOf(object)),
                              .name = common::NameOf(object),
                              .object = object,
                              .source = Source::kManifests,
                              .origin = file});
    }
    if (!in_conflict && !plan.changes.empty()) plans.push_back(std::move(plan));
  }
  ManifestPlan withdrawn;
  Withdraw(catalog.datasets, "Dataset", wanted, unknown_files, withdrawn.changes);
  Withdraw(catalog.subscriptions, "Subscription", wanted, unknown_files, withdrawn.changes);
  if (!withdrawn.changes.empty()) plans.push_back(std::move(withdrawn));
  return plans;
}

}  // namespace cp

// ManifestSet: what a directory of manifests declares, and how the catalog has to change for it.
//
// Thread: one owner.  Lifetime: value; no I/O inside.
// Level-triggered: Plan compares what the files say now with what the catalog holds now, so a
// change that could not be made is simply planned again.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/declarations.h"
#include "common/status.h"
#include "control-plane/store/catalog.h"

namespace cp {

// What must change because of one file; applied whole or not at all.
struct ManifestPlan {
  std::string file;  // empty: objects that no file declares any more
  std::vector<DeclarationChange> changes;
};

class ManifestSet {
 public:
  using Parsed = common::StatusOr<std::vector<common::Declaration>>;

  // `file` was added or edited. A file that cannot be parsed keeps the objects it had.
  void Put(const std::string& file, Parsed parsed);
  void Remove(const std::string& file);

  // Files that are not in force, with the reason: those that cannot be parsed, and those that
  // declare an object which an earlier file (in name order) declares.
  std::map<std::string, std::string> Faults() const;

  std::vector<ManifestPlan> Plan(const Catalog& catalog) const;

 private:
  struct File {
    std::vector<common::Declaration> objects;  // as last parsed without fault
    std::string fault;                         // of the newest text; empty: none
    bool known = false;                        // has been parsed without fault since the start
  };
  // Kind and name → the file that declares it first.
  std::map<std::string, std::string> Owners() const;

  std::map<std::string, File> files_;
};

}  // namespace cp

// Declare: which changes of the catalog are allowed, and what each comes to.
//
// Thread: any.  Lifetime: pure function.
#pragma once

#include <string>
#include <vector>

#include "control-plane/store/catalog.h"

namespace cp {

struct DeclarationPlan {
  std::vector<std::string> outcomes;       // created | configured | unchanged | deleted, per change
  std::vector<DeclarationChange> changes;  // what is to be stored; may be fewer
};

// All changes or none: applies them to `catalog`, in order. After an error `catalog` holds part of
// them: throw it away.
//   FAILED_PRECONDITION  declared elsewhere: it can only be changed there (says where)
//   NOT_FOUND            there is nothing to withdraw
//   RESOURCE_EXHAUSTED   too many objects
common::StatusOr<DeclarationPlan> PlanDeclarations(Catalog& catalog,
                                                   std::vector<DeclarationChange> changes);

}  // namespace cp

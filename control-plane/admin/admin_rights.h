// AdminRights: who may change which declaration (docs/decisions/0005-who-may-declare.md).
//
// Thread: any; immutable.  Lifetime: value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/status.h"
#include "control-plane/store/catalog.h"

namespace cp {

class AdminRights {
 public:
  // `enforce` false (--insecure): identities are only claims, so everything is allowed.
  // `admins`: patterns as in consumers.
  AdminRights(bool enforce, std::vector<std::string> admins)
      : enforce_(enforce), admins_(std::move(admins)) {}

  // PERMISSION_DENIED says what would be needed. An owner may change its own datasets, a service
  // the subscriptions of itself, before and after the change; an admin everything.
  common::Status CheckMayChange(std::string_view caller, const DeclarationChange& change,
                                const Catalog& catalog) const;
  // A backup holds every dataset: only an admin may take one.
  common::Status CheckMayBackUp(std::string_view caller) const;

 private:
  bool IsAdmin(std::string_view caller) const;

  const bool enforce_;
  const std::vector<std::string> admins_;
};

}  // namespace cp

// Rebuild: the cache's file written anew, so that nothing of what was erased is left in it.
//
// Thread: the writer's.  Lifetime: the old environment lives until its last reader lets go of it.
// LMDB never overwrites what it frees: erased bytes stay in free pages, and stray into the unused
// part of others, because it writes pages from buffers that it has used before. A file that was
// only ever given what is kept has none of them (docs/decisions/).
#pragma once

#include <memory>
#include <string>

#include "agent/cache/environment.h"
#include "common/status.h"

namespace agent {

// Deletes what a rebuild has left that did not come to its end. Whoever opens the directory does
// it.
common::Status DiscardRebuild(const std::string& dir);

// Copies all that `from` holds now into a new environment, whose file then takes the place of the
// old one in `options.dir`: a crash leaves the one or the other. On failure nothing has changed.
// RESOURCE_EXHAUSTED: the disk has no room for both. REQUIRES: no write transaction is open.
common::StatusOr<std::shared_ptr<Environment>> RebuildEnvironment(Environment& from,
                                                                  const CacheOptions& options);

}  // namespace agent

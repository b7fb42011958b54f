// Validate: what a service may publish.
//
// Thread: any.  Lifetime: pure function.
#pragma once

#include <string>
#include <string_view>

#include "common/limits.h"
#include "control-plane/store/catalog.h"
#include "control-plane/store/store.h"

namespace cp {

// OK: `service` may have `batch` committed. The first fault otherwise, named with what to do:
//   INVALID_ARGUMENT   publisher id, sequence, no writes, a malformed name, key or content type
//   OUT_OF_RANGE       key, value, content type or batch too big, too many old values asked for
//   NOT_FOUND          dataset not declared
//   PERMISSION_DENIED  not its owner
common::Status ValidateBatch(const Catalog& catalog, std::string_view service, const Batch& batch);

// Under which the store remembers a publisher: ids belong to the service that uses them, so that
// nobody is answered with another's outcomes, or makes another's be forgotten, by using its id.
std::string PublisherKey(std::string_view service, std::string_view publisher_id);
inline constexpr std::size_t kPublisherKeyBytesMax =
    common::kServiceNameBytesMax + 1 + common::kPublisherIdBytesMax;
static_assert(kPublisherKeyBytesMax <= common::kLmdbKeyBytesMax);

// Writes of one batch that have the old value sent back: an answer stays as small as a request.
inline constexpr std::size_t kBatchOldValuesMax = common::kBatchBytesMax / common::kValueBytesMax;

// Keys + values of a batch.
std::size_t BatchBytes(const Batch& batch);
// How many old values its outcome may carry.
std::size_t OldValuesAsked(const Batch& batch);

}  // namespace cp

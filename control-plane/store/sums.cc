#include "control-plane/store/sums.h"

namespace cp {

common::StatusOr<Sums> SumUp(const View& view, std::uint32_t dataset, std::string_view prefix) {
  Sums sums;
  RETURN_IF_ERROR(view.ScanEntries(dataset, prefix, {}, [&sums](const Stored& stored) {
    const std::string_view value = common::EntryOfResource(stored.resource).value;
    sums.entries += 1;
    sums.bytes += stored.key.size() + value.size();
    sums.digest += common::EntryHash(stored.key, stored.version, value);
    return true;
  }));
  return sums;
}

common::Status CheckSums(const View& view, std::string_view name, const DatasetState& state) {
  ASSIGN_OR_RETURN(const Sums sums, SumUp(view, state.id, {}));
  const bool same =
      sums.entries == state.entries && sums.bytes == state.bytes && sums.digest == state.digest;
  if (same) return common::OkStatus();
  return common::Error(common::StatusCode::kDataLoss,
                       "dataset {} at revision {}: its {} entries ({} bytes) have digest {}, its "
                       "record says {} entries ({} bytes) and {}",
                       name, state.head, sums.entries, sums.bytes,
                       common::FormatDigest(sums.digest), state.entries, state.bytes,
                       common::FormatDigest(state.digest));
}

}  // namespace cp

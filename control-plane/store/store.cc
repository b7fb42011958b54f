#include "control-plane/store/store.h"

#include "control-plane/store/backup.h"

namespace cp {

common::StatusOr<std::unique_ptr<BackupReader>> Store::OpenBackup(std::int64_t) const {
  return common::Error(common::StatusCode::kUnimplemented,
                       "this store is not backed up by the control plane: back up what it is kept "
                       "in");
}

}  // namespace cp

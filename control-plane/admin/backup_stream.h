// BackupStream: one Admin.Backup call – pieces of a backup, each read when the last has gone.
//
// Thread: gRPC's.  Lifetime: deletes itself when gRPC is done with it; store and gate outlive it.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "common/status.h"
#include "control-plane/store/backup.h"
#include "control-plane/store/store.h"
#include "tributary/v1/admin.grpc.pb.h"

namespace cp {

inline constexpr int kBackupsMax = 2;  // at a time

// How many backups run. Each keeps a snapshot, and with it old pages, for as long as it takes.
struct BackupGate {
  std::atomic<int> running{0};
};

using BackupReactor = grpc::ServerWriteReactor<tributary::v1::BackupPiece>;

// RESOURCE_EXHAUSTED ends the call when too many run already. `refused` not OK: ends with it.
BackupReactor* StartBackup(const common::Status& refused, const Store& store, std::int64_t now_ms,
                           BackupGate& gate);

}  // namespace cp

#include "control-plane/admin/backup_stream.h"

#include <utility>

#include "common/rpc/status.h"

namespace cp {
namespace {

class RefusedBackup final : public BackupReactor {
 public:
  explicit RefusedBackup(const common::Status& why) { Finish(common::ToGrpc(why)); }
  void OnDone() override { delete this; }
};

class BackupStream final : public BackupReactor {
 public:
  BackupStream(std::unique_ptr<BackupReader> reader, BackupGate& gate)
      : reader_(std::move(reader)), gate_(gate) {
    Continue();
  }
  ~BackupStream() override { gate_.running.fetch_sub(1); }
  BackupStream(const BackupStream&) = delete;
  BackupStream& operator=(const BackupStream&) = delete;
  void OnWriteDone(bool ok) override {
    if (!ok) return Finish({grpc::StatusCode::CANCELLED, "the reader went away"});
    Continue();
  }
  void OnDone() override { delete this; }

 private:
  void Continue() {
    common::StatusOr<std::string> piece = reader_->Next();
    if (!piece.ok()) return Finish(common::ToGrpc(piece.status()));
    if (piece->empty()) return Finish(grpc::Status::OK);
    message_.set_data(*std::move(piece));
    StartWrite(&message_);
  }

  const std::unique_ptr<BackupReader> reader_;
  BackupGate& gate_;
  tributary::v1::BackupPiece message_;
};

}  // namespace

BackupReactor* StartBackup(const common::Status& refused, const Store& store, std::int64_t now_ms,
                           BackupGate& gate) {
  if (!refused.ok()) return new RefusedBackup(refused);
  if (gate.running.fetch_add(1) >= kBackupsMax) {
    gate.running.fetch_sub(1);
    return new RefusedBackup(common::Error(common::StatusCode::kResourceExhausted,
                                           "{} backups are running already; try again later",
                                           kBackupsMax));
  }
  auto reader = store.OpenBackup(now_ms);
  if (reader.ok()) return new BackupStream(*std::move(reader), gate);
  gate.running.fetch_sub(1);
  return new RefusedBackup(reader.status());
}

}  // namespace cp

// backup: all that the control plane keeps, into a file.
#include "control-plane/store/backup.h"
#include "common/rpc/status.h"
#include "control-plane/ctl/draft_file.h"
#include "control-plane/ctl/progress_line.h"
#include "control-plane/ctl/verb.h"
#include "tributary/v1/admin.grpc.pb.h"

namespace ctl {
namespace {

using common::InvalidArgument;
using common::OkStatus;

class Backup final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("file", file_, "the file to make");
    app.add_option("--to", to_, "the same as FILE");
    app.footer(
        "The control plane goes on working. The file holds every dataset, declaration and\n"
        "publisher's outcome as of one revision, each block with a checksum; it appears\n"
        "under its name only when it is complete, and replaces no other.");
  }
  Status Check() const override {
    if (file_.empty() != to_.empty()) return OkStatus();
    return InvalidArgument("backup: give the file to make, once");
  }
  Status Run(const Session& session) override {
    ASSIGN_OR_RETURN(DraftFile draft, DraftFile::Create(path()));
    ProgressPrinter progress(session.io);
    cp::BackupHeader header;
    cp::BackupParser parser({.on_header = [&header](const cp::BackupHeader& got) {
      header = got;
      return OkStatus();
    }});
    std::uint64_t bytes = 0;
    const Status status = Receive(*session.connection, [&](std::string_view piece) -> Status {
      RETURN_IF_ERROR(parser.Feed(piece));  // checked before it is trusted to the disk
      RETURN_IF_ERROR(draft.Append(piece));
      bytes += piece.size();
      progress.Show(parser.rows(), header.rows);
      return OkStatus();
    });
    progress.Clear();
    RETURN_IF_ERROR(status);
    RETURN_IF_ERROR(parser.Finish());
    RETURN_IF_ERROR(draft.Keep());
    session.io.out << fmt::format("backed up revision {} of epoch {} ({} rows, {} bytes) to {}\n",
                                  header.head, common::FormatEpoch(header.epoch),
                                  WithThousands(parser.rows()), WithThousands(bytes), path());
    return OkStatus();
  }

 private:
  const std::string& path() const { return file_.empty() ? to_ : file_; }

  template <class Take>
  static Status Receive(const Connection& connection, const Take& take) {
    grpc::ClientContext context;
    connection.Prepare(context, false);
    auto stub = tributary::v1::Admin::NewStub(connection.channel());
    const auto reader = stub->Backup(&context, {});
    tributary::v1::BackupPiece piece;
    while (reader->Read(&piece)) {
      Status status = take(piece.data());
      if (status.ok()) continue;
      context.TryCancel();
      (void)reader->Finish();
      return status;
    }
    return common::FromGrpc(reader->Finish());
  }

  std::string file_, to_;
};

}  // namespace

std::unique_ptr<Verb> MakeBackup() { return std::make_unique<Backup>(); }

}  // namespace ctl

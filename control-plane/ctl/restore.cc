// restore: a data directory out of a backup, while no control plane uses it.
#include <cerrno>
#include <chrono>
#include <fstream>
#include <system_error>

#include "common/units.h"
#include "control-plane/ctl/progress_line.h"
#include "control-plane/ctl/verb.h"
#include "control-plane/store/backup.h"

namespace ctl {
namespace {

using common::Error;
using common::InvalidArgument;
using common::OkStatus;
using common::StatusCode;

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;

// The file, or standard input, piece by piece.
class Pieces {
 public:
  static StatusOr<Pieces> Open(const std::string& path, std::istream& in) {
    Pieces pieces(path, in);
    if (path == "-") return pieces;
    pieces.file_.open(path, std::ios::binary);
    if (!pieces.file_) {
      return InvalidArgument("{}: {}", path, std::generic_category().message(errno));
    }
    return pieces;
  }
  StatusOr<std::string> Next() {
    std::istream& in = path_ == "-" ? in_ : file_;
    std::string piece(kPieceBytes, '\0');
    in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (in.bad()) return Error(StatusCode::kDataLoss, "{}: cannot be read", path_);
    piece.resize(static_cast<std::size_t>(in.gcount()));
    return piece;
  }

 private:
  Pieces(std::string path, std::istream& in) : path_(std::move(path)), in_(in) {}
  std::string path_;
  std::istream& in_;
  std::ifstream file_;
};

class Restore final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("file", file_, "the backup; - for standard input");
    app.add_option("--from", from_, "the same as FILE");
    app.add_option("--data-dir", dir_, "the directory to make: absent or empty");
    app.add_option("--max-map-size", map_size_, "as the control plane's (256GiB)");
    app.add_flag("--check", check_, "only read the backup and check it");
    app.footer(
        "Stop the control plane first, restore beside its old data directory, then start it\n"
        "with the new one. The store gets a new epoch: agents see that history has forked and\n"
        "mend their copies by digests. What was committed after the backup is gone: its owners\n"
        "publish it again.");
  }
  bool needs_connection() const override { return false; }
  Status Check() const override {
    if (file_.empty() == from_.empty()) return InvalidArgument("restore: give the backup, once");
    if (check_ == dir_.empty()) return common::ParseSize(map_size_).status();
    return InvalidArgument("restore: give --data-dir DIR, or --check to read the backup only");
  }
  Status Run(const Session& session) override {
    const std::string& path = file_.empty() ? from_ : file_;
    ASSIGN_OR_RETURN(Pieces pieces, Pieces::Open(path, session.io.in));
    return common::Annotate(check_ ? CheckFile(session, pieces) : RestoreFile(session, pieces),
                            path);
  }

 private:
  static Status CheckFile(const Session& session, Pieces& pieces) {
    cp::BackupHeader header;
    cp::BackupParser parser({.on_header = [&header](const cp::BackupHeader& got) {
      header = got;
      return OkStatus();
    }});
    while (true) {
      ASSIGN_OR_RETURN(const std::string piece, pieces.Next());
      if (piece.empty()) break;
      RETURN_IF_ERROR(parser.Feed(piece));
    }
    RETURN_IF_ERROR(parser.Finish());
    session.io.out << fmt::format("whole: revision {} of epoch {}, {} rows\n", header.head,
                                  common::FormatEpoch(header.epoch), WithThousands(parser.rows()));
    return OkStatus();
  }
  Status RestoreFile(const Session& session, Pieces& pieces) const {
    ASSIGN_OR_RETURN(const std::uint64_t map_bytes, common::ParseSize(map_size_));
    ProgressPrinter progress(session.io);
    const auto outcome = cp::RestoreBackup(
        dir_, map_bytes, [&pieces] { return pieces.Next(); },
        [&progress](std::uint64_t rows, const cp::BackupHeader& header) {
          progress.Show(rows, header.rows);
        });
    progress.Clear();
    RETURN_IF_ERROR(outcome.status());
    session.io.out << fmt::format("restored revision {} ({} rows) into {}; new epoch {} (was {})\n",
                                  outcome->header.head, WithThousands(outcome->header.rows), dir_,
                                  common::FormatEpoch(outcome->epoch),
                                  common::FormatEpoch(outcome->header.epoch));
    return OkStatus();
  }

  std::string file_, from_, dir_, map_size_ = "256GiB";
  bool check_ = false;
};

}  // namespace

std::unique_ptr<Verb> MakeRestore() { return std::make_unique<Restore>(); }

}  // namespace ctl

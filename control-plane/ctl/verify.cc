// verify: a dataset read anew and every copy of it, held against its digest; or who holds which
// version of one key.
#include <algorithm>

#include "common/limits.h"
#include "common/suggest.h"
#include "control-plane/ctl/admin_calls.h"
#include "control-plane/ctl/copy_rows.h"
#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/table.h"
#include "control-plane/ctl/verb.h"

namespace ctl {
namespace {

using common::Error;
using common::OkStatus;
using common::StatusCode;
using tributary::v1::CopyStatus;
using tributary::v1::VerifyResponse;

std::string Name(const CopyStatus& copy) {
  std::string name = copy.service() + " " + copy.instance();
  if (!copy.prefix().empty()) {
    name += " prefix " + common::Printable(copy.prefix(), common::kKeyBytesMax);
  }
  return name;
}

class Verify final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "the dataset")->required();
    app.add_option("--key", key_, "only this key: which copy holds which version of it");
    app.footer(
        "Reads every entry at the control plane in one snapshot, sums the digest up anew and\n"
        "compares it with the one kept; then tells of each connected copy whether its digest\n"
        "matched at an equal revision. Exit code 0: all that could be compared agrees; 1: not.\n"
        "A copy that is behind is not a fault; it cannot be compared until it has caught up.");
  }
  Status Run(const Session& session) override {
    ASSIGN_OR_RETURN(const VerifyResponse got, GetVerified(*session.connection, dataset_, key_));
    return key_.empty() ? ShowDataset(session, got) : ShowKey(session, got);
  }

 private:
  Status ShowDataset(const Session& session, const VerifyResponse& got) const {
    const auto& state = got.dataset();
    const bool is_right = got.digest() == state.digest() && got.entries() == state.entries() &&
                          got.bytes() == state.bytes();
    std::vector<std::string> bad;
    std::size_t proven = 0;
    for (const CopyStatus& copy : got.copies()) {
      if (copy.digest() == "mismatch") bad.push_back(Name(copy));
      if (copy.digest() == "ok") ++proven;
    }
    if (session.output == Output::kTable) {
      session.io.out << fmt::format(
          "{}: {} entries at revision {}, digest {} {}; copies: {}, {} proven\n", dataset_,
          WithThousands(got.entries()), state.revision(), got.digest(),
          is_right ? "ok" : "MISMATCH", got.copies_size(), proven);
      if (got.copies_size() > 0) session.io.out << CopyTable(got.copies());
    } else {
      PrintJson(session,
                {{"dataset", ToJson(state)},
                 {"epoch", got.epoch()},
                 {"counted",
                  {{"entries", got.entries()}, {"bytes", got.bytes()}, {"digest", got.digest()}}},
                 {"ok", is_right && bad.empty()},
                 {"copies", ToJsonArray(got.copies())}});
    }
    if (!is_right) {
      return Error(StatusCode::kDataLoss,
                   "dataset {} at revision {}: its {} entries have digest {}, the control plane "
                   "keeps {} for {} entries: restore it from its owner or from a backup",
                   dataset_, state.revision(), got.entries(), got.digest(), state.digest(),
                   state.entries());
    }
    if (bad.empty()) return OkStatus();
    return Error(StatusCode::kDataLoss, "copies of {} that differ (they reload by themselves): {}",
                 dataset_, fmt::join(bad, ", "));
  }

  Status ShowKey(const Session& session, const VerifyResponse& got) const {
    const std::string version = got.version().empty() ? "absent" : got.version();
    if (session.output == Output::kTable) {
      session.io.out << fmt::format("{}/{}: {}\n", dataset_,
                                    common::Printable(key_, common::kKeyBytesMax), version);
      Table table({"SERVICE", "INSTANCE", "PREFIX", "HOLDS", "COPY-REVISION"});
      for (const auto& copy : got.key_copies()) {
        table.Add({copy.service(), copy.instance(), copy.prefix(), copy.holds(),
                   std::to_string(copy.revision())});
      }
      if (got.key_copies_size() > 0) session.io.out << table.Print();
      return OkStatus();
    }
    Json copies = Json::array();
    for (const auto& copy : got.key_copies()) {
      copies.push_back({{"service", copy.service()},
                        {"instance", copy.instance()},
                        {"prefix", copy.prefix()},
                        {"holds", copy.holds()},
                        {"revision", copy.revision()}});
    }
    PrintJson(session, {{"dataset", dataset_},
                        {"key", common::Printable(key_, common::kKeyBytesMax)},
                        {"version", got.version()},
                        {"copies", copies}});
    return OkStatus();
  }

  std::string dataset_, key_;
};

}  // namespace

std::unique_ptr<Verb> MakeVerify() { return std::make_unique<Verify>(); }

}  // namespace ctl

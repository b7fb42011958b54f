// LoopbackPort: a publisher without a control plane – what is written is applied to the local cache
// at once, as if this agent owned and subscribed every dataset named to it.
//
// Thread: Submit from any; its own thread is the cache's sync thread.  Lifetime: the cache outlives
// it; `done` callbacks come from its thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/cache/cache.h"
#include "agent/server/write_port.h"
#include "common/mailbox.h"
#include "common/thread.h"

namespace agent {

class LoopbackPort final : public WritePort {
 public:
  static constexpr common::Epoch kEpoch = 0xABCDEF012345;

  // `revision`: of what the cache holds already.
  LoopbackPort(std::unique_ptr<Writer> writer, std::set<std::string> datasets,
               common::Revision revision)
      : writer_(std::move(writer)),
        datasets_(std::move(datasets)),
        revision_(revision),
        mailbox_(1 << 20),
        thread_("loopback", [this] { Work(); }) {}
  ~LoopbackPort() override {
    mailbox_.Close();
    thread_.Join();
  }

  // Takes plain writes only: conditions, expiry and checks are the control plane's to judge.
  void Submit(WriteBatch batch, std::function<void(WriteOutcome)> done) override {
    CHECK(mailbox_.Post({std::move(batch), std::move(done)}));
  }

 private:
  struct Job {
    WriteBatch batch;
    std::function<void(WriteOutcome)> done;
  };

  void Work() {
    while (!mailbox_.closed()) {
      for (const Job& job : mailbox_.WaitAll(std::chrono::seconds(1))) job.done(Apply(job.batch));
    }
  }

  static bool IsPlain(const WriteBatch& batch) {
    return batch.checks.empty() &&
           std::ranges::all_of(batch.writes, [](const SocketWrite& write) {
             return write.options == SetOptions{};
           });
  }

  WriteOutcome Apply(const WriteBatch& batch) {
    const std::vector<SocketWrite>& writes = batch.writes;
    if (!IsPlain(batch)) return {.status = absl::UnimplementedError("plain writes only")};
    const common::Version version{.epoch = kEpoch, .revision = ++revision_};
    WriteOutcome outcome{.status = common::OkStatus(), .version = version};
    std::set<std::string> touched;
    for (const SocketWrite& write : writes) {
      if (!datasets_.contains(write.dataset)) {
        outcome.status = common::Error(common::StatusCode::kNotFound, "dataset {} is not declared",
                                       write.dataset);
        return outcome;
      }
      touched.insert(write.dataset);
    }
    for (const std::string& dataset : touched) {
      CountDeletes(dataset, writes, outcome);
      const std::vector<Change> changes = ChangesOf(dataset, writes, version);
      outcome.status = writer_->Apply({.dataset = dataset, .prefix = ""}, changes, version);
      if (!outcome.status.ok()) return outcome;
    }
    return outcome;
  }

  static std::vector<Change> ChangesOf(const std::string& dataset,
                                       const std::vector<SocketWrite>& writes,
                                       const common::Version& version) {
    std::vector<Change> changes;
    for (const SocketWrite& write : writes) {
      if (write.dataset != dataset) continue;
      Change& change = changes.emplace_back();
      change.key = write.key;
      change.version = version;
      if (write.value) change.entry = common::EntryView{.value = *write.value};
    }
    return changes;
  }

  // Marks the deletes that find nothing: exact when the batch only deletes, or only sets.
  void CountDeletes(const std::string& dataset, const std::vector<SocketWrite>& writes,
                    WriteOutcome& outcome) {
    if (reader == nullptr || !reader->Refresh().ok()) return;
    std::set<std::string> deleted;
    outcome.skipped.resize(writes.size() / 8 + 1);
    for (std::size_t i = 0; i < writes.size(); ++i) {
      if (writes[i].dataset != dataset || writes[i].value) continue;
      const auto found = reader->Get(dataset, writes[i].key);
      if (found.ok() && found->has_value() && deleted.insert(writes[i].key).second) continue;
      outcome.skipped[i / 8] = static_cast<char>(outcome.skipped[i / 8] | 1 << i % 8);
    }
    reader->Release();
  }

 public:
  std::unique_ptr<Reader> reader;  // of this thread, for counting deletes; set before any write

 private:
  const std::unique_ptr<Writer> writer_;
  const std::set<std::string> datasets_;
  common::Revision revision_;
  common::Mailbox<Job> mailbox_;
  common::Thread thread_;
};

}  // namespace agent

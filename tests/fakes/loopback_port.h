// LoopbackPort: a publisher without a control plane – what is written is applied to the local cache
// at once, as if this agent owned and subscribed every dataset named to it.
//
// Thread: Submit from any; its own thread is the cache's sync thread.  Lifetime: the cache outlives
// it; `done` callbacks come from its thread.
#pragma once

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

  void Submit(std::vector<SocketWrite> writes, std::function<void(WriteOutcome)> done) override {
    CHECK(mailbox_.Post({std::move(writes), std::move(done)}));
  }

 private:
  struct Job {
    std::vector<SocketWrite> writes;
    std::function<void(WriteOutcome)> done;
  };

  void Work() {
    while (!mailbox_.closed()) {
      for (const Job& job : mailbox_.WaitAll(std::chrono::seconds(1))) job.done(Apply(job.writes));
    }
  }

  WriteOutcome Apply(const std::vector<SocketWrite>& writes) {
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
      outcome.deleted += CountDeletes(dataset, writes);
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

  // How many entries the copy loses: exact when the batch only deletes, or only sets.
  std::uint64_t CountDeletes(const std::string& dataset, const std::vector<SocketWrite>& writes) {
    std::set<std::string> deleted;
    for (const SocketWrite& write : writes) {
      if (write.dataset == dataset && !write.value) deleted.insert(write.key);
    }
    std::uint64_t count = 0;
    if (deleted.empty() || reader == nullptr || !reader->Refresh().ok()) return 0;
    for (const std::string& key : deleted) {
      const auto found = reader->Get(dataset, key);
      if (found.ok() && found->has_value()) ++count;
    }
    reader->Release();
    return count;
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

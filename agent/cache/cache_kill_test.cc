// Goal: kill -9 at any moment leaves the last acknowledged cut, or the one after it, whole.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <random>
#include <span>
#include <utility>

#include "agent/cache/cache_fixture.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::Revision;

constexpr int kKills = 60;

// What the cut `revision` does; both processes know.
class Cuts {
 public:
  using Cells = std::map<std::string, std::pair<Revision, std::string>>;

  static Changes Of(Revision revision) {
    std::mt19937_64 random(revision);
    Changes changes;
    const std::uint64_t count = 1 + random() % 50;
    for (std::uint64_t i = 0; i < count; ++i) {
      const std::string key = fmt::format("{:04}", random() % 500);
      if (random() % 4 == 0) {
        changes.Remove(key, {.epoch = 1, .revision = revision});
      } else {
        changes.Put(key, {.epoch = 1, .revision = revision}, std::string(random() % 3000, 'v'));
      }
    }
    return changes;
  }
  static void ApplyTo(Cells& cells, Revision revision) {
    Changes changes = Of(revision);
    for (const Change& change : changes.Views()) {
      if (change.entry) {
        cells[std::string(change.key)] = {revision, std::string(change.entry->value)};
      } else {
        cells.erase(std::string(change.key));
      }
    }
  }
};

// Some cuts are plain, some are staged first, some are full loads.
common::Status DoCut(Writer& writer, Revision revision, Cuts::Cells& cells) {
  const common::Version at{.epoch = 1, .revision = revision};
  Changes changes = Cuts::Of(revision);
  const std::vector<Change>& views = changes.Views();
  const std::span<const Change> all(views);
  Cuts::Cells before = cells;
  Cuts::ApplyTo(cells, revision);
  if (revision % 7 == 0) {
    RETURN_IF_ERROR(writer.BeginLoad(kOrders, at));
    Changes full;
    for (const auto& [key, cell] : before) {
      full.Put(key, {.epoch = 1, .revision = cell.first}, cell.second);
    }
    const std::vector<Change>& loads = full.Views();
    const std::span<const Change> load(loads);
    RETURN_IF_ERROR(writer.Load(kOrders, load.first(load.size() / 2)));
    RETURN_IF_ERROR(writer.Load(kOrders, load.subspan(load.size() / 2)));
  }
  if (revision % 3 == 0) {
    RETURN_IF_ERROR(writer.Stage(kOrders, all.first(all.size() / 2)));
    return writer.Apply(kOrders, all.subspan(all.size() / 2), at);
  }
  return writer.Apply(kOrders, all, at);
}

// In the child: goes on from where the cache stands, writing each revision that is acknowledged.
[[noreturn]] void RunChild(const CacheOptions& options, int acks, Cuts::Cells cells) {
  RecordingListener listener;
  auto cache = Cache::Open(options);
  if (!cache.ok()) ::_exit(2);
  const std::unique_ptr<Writer> writer = (*cache)->MakeWriter(listener);
  Revision revision = writer->Copies().at(0).cursor.revision;
  while (DoCut(*writer, ++revision, cells).ok()) {
    if (::write(acks, &revision, sizeof(revision)) != sizeof(revision)) ::_exit(4);
    listener.changed.clear();
  }
  ::_exit(3);
}

// Revisions acknowledged until the child is dead; it is killed `delay_ms` after the first.
Revision KillAfter(pid_t child, int acks, int delay_ms) {
  Revision last = 0;
  Revision next = 0;
  bool killed = false;
  while (::read(acks, &next, sizeof(next)) == sizeof(next)) {
    last = next;
    if (std::exchange(killed, true)) continue;
    ::poll(nullptr, 0, delay_ms);
    ::kill(child, SIGKILL);
  }
  return last;
}

class CacheKillTest : public CacheFixture {
 protected:
  void Compare(const Cuts::Cells& want) {
    ASSERT_EQ(reader_->Refresh(), OkStatus());
    Cuts::Cells got;
    ASSERT_EQ(
        reader_->Scan(
            "orders", "", "",
            [&](std::string_view key, const Found& found) {
              got[std::string(key)] = {found.version.revision, std::string(found.entry.value)};
              return true;
            }),
        OkStatus());
    reader_->Release();
    ASSERT_TRUE(got == want);
    ASSERT_EQ(cache_->Check(), OkStatus());
  }
};

TEST_F(CacheKillTest, LeavesAWholeCut) {
  std::mt19937_64 random(TestSeed());
  Changes none;
  LoadCopy(kOrders, none, 0);
  Cuts::Cells cells;
  Revision at = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    SCOPED_TRACE(kill);
    Close();
    int acks[2];
    ASSERT_EQ(::pipe(acks), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(acks[0]);
      RunChild(options_, acks[1], cells);
    }
    ::close(acks[1]);
    const Revision acked = KillAfter(child, acks[0], static_cast<int>(random() % 15));
    ::close(acks[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << WEXITSTATUS(status);
    Open();
    const Revision cursor = writer_->Copies().at(0).cursor.revision;
    ASSERT_TRUE(cursor == acked || cursor == acked + 1) << cursor << " after " << acked;
    while (at < cursor) Cuts::ApplyTo(cells, ++at);
    ASSERT_NO_FATAL_FAILURE(Compare(cells));
  }
  EXPECT_GT(at, static_cast<Revision>(kKills));
}

}  // namespace
}  // namespace agent

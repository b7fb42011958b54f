// Goal: a full map, a full disk and a flipped byte cost what they must and nothing else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>

#include "agent/cache/cache_fixture.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::Status;
using common::StatusCode;

const Collection kPrices{.dataset = "prices", .prefix = ""};

class CacheFullTest : public CacheFixture {
 protected:
  void SetUp() override {
    options_.map_bytes = 4ULL << 20;
    Open();
    Changes changes;
    changes.Put("k", At(1), "first").Put("gone", At(1), "x");
    LoadCopy(kOrders, changes, 1);
    Changes big;
    for (int i = 0; i < 100; ++i) big.Put(fmt::format("{:03}", i), At(1), std::string(10'000, 'p'));
    LoadCopy(kPrices, big, 1);
  }
  // One cut that is much larger than what is left.
  Status ApplyTooMuch() {
    Changes changes;
    changes.Put("k", At(2), "second").Remove("gone", At(2));
    for (int i = 0; i < 500; ++i)
      changes.Put(fmt::format("n{:03}", i), At(2), std::string(10'000, 'n'));
    return writer_->Apply(kOrders, changes.Views(), At(2));
  }
  void ExpectNothingApplied() {
    EXPECT_EQ(Get("orders", "k"), "first");
    EXPECT_EQ(Get("orders", "gone"), "x");
    EXPECT_EQ(Scan("orders"), "gone k");
    EXPECT_EQ(writer_->Copies().at(0).cursor, At(1));
    EXPECT_EQ(cache_->Check(), OkStatus());
  }
};

TEST_F(CacheFullTest, FullMapAppliesNothingAndRecovers) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ApplyTooMuch().code(), StatusCode::kResourceExhausted);
    ExpectNothingApplied();
  }
  Changes small;
  small.Put("k", At(3), "third");
  EXPECT_EQ(writer_->Apply(kOrders, small.Views(), At(3)), OkStatus()) << "there is room for that";
  EXPECT_EQ(Get("orders", "k"), "third");
  options_.map_bytes = 64ULL << 20;
  Reopen();
  EXPECT_EQ(ApplyTooMuch(), OkStatus());
  EXPECT_EQ(Get("orders", "n499"), std::string(10'000, 'n'));
}

TEST_F(CacheFullTest, RemovingACopyMakesRoom) {
  Changes changes;
  for (int i = 0; i < 280; ++i)
    changes.Put(fmt::format("n{:03}", i), At(2), std::string(10'000, 'n'));
  EXPECT_EQ(writer_->Apply(kOrders, changes.Views(), At(2)).code(), StatusCode::kResourceExhausted);
  ExpectNothingApplied();
  ASSERT_EQ(writer_->Remove(kPrices), OkStatus());
  Status status;
  for (int attempt = 0; attempt < 3; ++attempt) {
    status = writer_->Apply(kOrders, changes.Views(), At(2));
    if (status.ok()) break;
  }
  EXPECT_EQ(status, OkStatus()) << "trying again must get there";
}

TEST_F(CacheFullTest, LoadThatDoesNotFitLeavesTheOldCopy) {
  ASSERT_EQ(writer_->BeginLoad(kOrders, At(2)), OkStatus());
  Status status;
  for (int i = 0; i < 100 && status.ok(); ++i) {
    Changes chunk;
    for (int k = 0; k < 10; ++k) {
      chunk.Put(fmt::format("n{:03}{}", i, k), At(2), std::string(10'000, 'n'));
    }
    status = writer_->Load(kOrders, chunk.Views());
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  ExpectNothingApplied();
  ASSERT_EQ(writer_->BeginLoad(kOrders, At(3)), OkStatus()) << "gives the room back";
  Changes fits;
  fits.Put("k", At(3), "third");
  ASSERT_EQ(writer_->Load(kOrders, fits.Views()), OkStatus());
  ASSERT_EQ(writer_->Apply(kOrders, {}, At(3)), OkStatus());
  EXPECT_EQ(Get("orders", "k"), "third");
}
// Goal: whatever fills the map, and however often, removals, cursors and the end of copies get
// through, and then there is room again.
class FullMapTest : public CacheFixture {
 protected:
  static constexpr std::size_t kMapBytes = 4ULL << 20;
  void SetUp() override {
    options_.map_bytes = kMapBytes;
    Open();
    ASSERT_EQ(writer_->Add(kOrders), OkStatus());
    ASSERT_EQ(writer_->BeginLoad(kOrders, At(1)), OkStatus());
    ASSERT_EQ(writer_->Apply(kOrders, {}, At(1)), OkStatus());
  }
  static std::string Key(std::size_t i) { return fmt::format("{:06}", i * 7919 % 100'003); }
  // Puts cuts of `each` entries until one is refused, three times as LMDB uses what one commit has
  // freed only after the next; returns how many entries are there.
  std::size_t Fill(std::size_t bytes, std::size_t each) {
    std::size_t count = 0;
    for (int refused = 0; refused < 3;) {
      Changes changes;
      for (std::size_t i = 0; i < each; ++i) {
        changes.Put(Key(count + i), At(++revision_), std::string(bytes, 'v'));
      }
      const Status status = writer_->Apply(kOrders, changes.Views(), At(revision_));
      EXPECT_TRUE(status.ok() || status.code() == StatusCode::kResourceExhausted) << status;
      refused = status.ok() ? 0 : refused + 1;
      if (status.ok()) count += each;
    }
    EXPECT_EQ(writer_->Copies().at(0).entries, count);
    return count;
  }
  Status RemoveAll(std::size_t count) {
    Changes changes;
    for (std::size_t i = 0; i < count; ++i) changes.Remove(Key(i), At(++revision_));
    return writer_->Apply(kOrders, changes.Views(), At(revision_));
  }

  common::Revision revision_ = 1;
};

TEST_F(FullMapTest, RemovalsGetThroughAtOnceTimeAndAgain) {
  struct Case {
    std::size_t bytes, each;
  };
  for (int round = 0; round < 2; ++round) {
    for (const Case& c : {Case{10, 500}, Case{900, 40}, Case{3'000, 1}, Case{10'000, 3},
                          Case{100'000, 1}, Case{700'000, 1}}) {
      SCOPED_TRACE(fmt::format("round {}, {} entries of {} bytes", round, c.each, c.bytes));
      const std::size_t count = Fill(c.bytes, c.each);
      EXPECT_GT(count * (c.bytes + 100), kMapBytes / 3) << "the map is there to be used";
      EXPECT_TRUE(Get("orders", Key(count - 1)) == std::string(c.bytes, 'v')) << "it still serves";
      ASSERT_EQ(RemoveAll(count), OkStatus());
      EXPECT_EQ(writer_->Copies().at(0).entries, 0u);
      EXPECT_EQ(cache_->Check(), OkStatus());
    }
  }
}

TEST_F(FullMapTest, OneRemovalAndTheCursorGetThrough) {
  const std::size_t count = Fill(10, 500);
  for (std::size_t i = 0; i < 200; ++i) {
    Changes one;
    one.Remove(Key(i), At(++revision_));
    ASSERT_EQ(writer_->Apply(kOrders, one.Views(), At(revision_)), OkStatus()) << i;
    ASSERT_EQ(writer_->Apply(kOrders, {}, At(++revision_)), OkStatus()) << i;
  }
  Changes again;
  for (std::size_t i = 0; i < 100; ++i) again.Put(Key(i), At(++revision_), std::string(10, 'w'));
  EXPECT_EQ(writer_->Apply(kOrders, again.Views(), At(revision_)), OkStatus()) << "there is room";
  EXPECT_EQ(Get("orders", Key(count - 1)), std::string(10, 'v'));
}

TEST_F(FullMapTest, AReplacementThatIsNotLargerGetsThrough) {
  const std::size_t count = Fill(3'000, 1);
  for (std::size_t i = 0; i < count; ++i) {
    Changes one;
    one.Put(Key(i), At(++revision_), std::string(3'000, 'w'));
    ASSERT_EQ(writer_->Apply(kOrders, one.Views(), At(revision_)), OkStatus()) << i;
  }
}

TEST_F(FullMapTest, TheEndOfACopyAndOfALoadGetThrough) {
  for (int round = 0; round < 3; ++round) {
    Changes other;
    other.Put("k", At(1), "v");
    LoadCopy(kPrices, other, 1);
    Fill(10'000, 3);
    ASSERT_EQ(writer_->BeginLoad(kPrices, At(2)), OkStatus());
    ASSERT_EQ(writer_->DropLoad(kPrices), OkStatus());
    ASSERT_EQ(writer_->Remove(kPrices), OkStatus());
    ASSERT_EQ(writer_->Deny(kOrders, Denial::kNoPermission), OkStatus());
    ASSERT_EQ(writer_->Deny(kOrders, Denial::kNone), OkStatus());
    ASSERT_EQ(writer_->BeginLoad(kOrders, At(1)), OkStatus());
    ASSERT_EQ(writer_->Apply(kOrders, {}, At(1)), OkStatus());
  }
}

// A process that starts with a smaller option finds more than that allows.
TEST_F(FullMapTest, AMapThatWasMadeSmallerLetsRemovalsThrough) {
  const std::size_t count = Fill(10, 500);
  options_.map_bytes = kMapBytes / 2;
  Reopen();
  Changes more;
  more.Put("more", At(++revision_), std::string(10'000, 'm'));
  EXPECT_EQ(writer_->Apply(kOrders, more.Views(), At(revision_)).code(),
            StatusCode::kResourceExhausted);
  Changes one;
  one.Remove(Key(0), At(++revision_));
  EXPECT_EQ(writer_->Apply(kOrders, one.Views(), At(revision_)), OkStatus());
  EXPECT_EQ(RemoveAll(count), OkStatus());
  EXPECT_EQ(writer_->Apply(kOrders, more.Views(), At(++revision_)), OkStatus());
}

// The limit on the size of files stands in for a full disk: writes beyond it are cut short, then
// refused.
TEST_F(CacheFullTest, FullDiskAppliesNothingAndRecovers) {
  struct stat stat {};
  ASSERT_EQ(::stat((dir_.path() + "/data.mdb").c_str(), &stat), 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  options_.map_bytes = 64ULL << 20;
  Reopen();
  for (const rlim_t extra : {0, 4096, 6000, 100'000}) {
    SCOPED_TRACE(extra);
    rlimit limit = before;
    limit.rlim_cur = static_cast<rlim_t>(stat.st_size) + extra;
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    const Status status = ApplyTooMuch();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status;
    ExpectNothingApplied();
  }
  EXPECT_EQ(ApplyTooMuch(), OkStatus());
  EXPECT_EQ(Get("orders", "k"), "second");
  std::signal(SIGXFSZ, old_handler);
}

// --- flipped bytes ----------------------------------------------------------------------------

class CacheFlipTest : public CacheFixture {
 protected:
  void SetUp() override {
    Open();
    Changes orders;
    orders.Put("before", At(1), "b").Put("victim", At(1), kValue).Put("zafter", At(1), "a");
    LoadCopy(kOrders, orders, 1);
    Changes prices;
    prices.Put("k", At(1), "v");
    LoadCopy(kPrices, prices, 1);
    cache_->SetFaultHandler(
        [this](const Collection& collection) { faults_.push_back(collection.dataset); });
    fd_ = ::open((dir_.path() + "/data.mdb").c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd_, 0);
  }
  void TearDown() override {
    ::close(fd_);
    Close();  // it may be broken: no Check
  }
  // Where `kValue` lies in the file; -1: nowhere. REQUIRES: once at most.
  off_t FindValue() {
    std::ifstream in(dir_.path() + "/data.mdb", std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const std::size_t at = bytes.find(kValue);
    EXPECT_EQ(bytes.find(kValue, at + 1), std::string::npos);
    return at == std::string::npos ? -1 : static_cast<off_t>(at);
  }
  void Flip(off_t at) {
    char byte = 0;
    ASSERT_EQ(::pread(fd_, &byte, 1, at), 1);
    byte = static_cast<char>(byte ^ 0x10);
    ASSERT_EQ(::pwrite(fd_, &byte, 1, at), 1);
  }
  std::string Direct(const std::string& key) {  // without asking for the coverage
    EXPECT_EQ(reader_->Refresh(), OkStatus());
    const auto found = reader_->Get("orders", key);
    std::string text = !found.ok() ? absl::StatusCodeToString(found.status().code())
                       : *found    ? std::string((*found)->entry.value)
                                   : "<none>";
    reader_->Release();
    return text;
  }

  static constexpr char kValue[] = "a value that occurs nowhere else";
  static constexpr off_t kRecordHeader = 52;
  std::vector<std::string> faults_;
  int fd_ = -1;
};

TEST_F(CacheFlipTest, AnyByteOfARecordIsDetected) {
  const off_t value = FindValue();
  ASSERT_GT(value, 0);
  const off_t end = value + static_cast<off_t>(sizeof(kValue) - 1);
  for (off_t at = value - kRecordHeader; at < end; ++at) {
    SCOPED_TRACE(at - value);
    ASSERT_NO_FATAL_FAILURE(Flip(at));
    EXPECT_EQ(Direct("victim"), "DATA_LOSS");
    EXPECT_EQ(cache_->Check().code(), StatusCode::kDataLoss);
    ASSERT_NO_FATAL_FAILURE(Flip(at));
    EXPECT_EQ(Direct("victim"), kValue);
  }
  EXPECT_EQ(faults_, std::vector<std::string>{"orders"}) << "reported once";
}

TEST_F(CacheFlipTest, CopyIsOutOfServiceUntilReloaded) {
  ASSERT_NO_FATAL_FAILURE(Flip(FindValue()));
  EXPECT_EQ(Get("orders", "before"), "b") << "not found out yet";
  EXPECT_EQ(Get("orders", "victim"), "DATA_LOSS");
  EXPECT_EQ(Get("orders", "before"), "<faulted>");
  EXPECT_EQ(Get("orders", "none"), "<faulted>");
  EXPECT_EQ(Scan("orders"), "");
  EXPECT_EQ(Get("prices", "k"), "v") << "the others go on";
  Changes live;
  live.Put("new", At(2), "n");
  ASSERT_EQ(writer_->Apply(kOrders, live.Views(), At(2)), OkStatus());
  EXPECT_EQ(Get("orders", "new"), "<faulted>") << "a cut does not heal it";
  Changes fresh;
  fresh.Put("victim", At(3), "healed");
  LoadCopy(kOrders, fresh, 3);
  EXPECT_EQ(Get("orders", "victim"), "healed");
  EXPECT_EQ(cache_->Check(), OkStatus());
  EXPECT_EQ(faults_, std::vector<std::string>{"orders"});
}

TEST_F(CacheFlipTest, ScanStopsAtABrokenEntry) {
  ASSERT_NO_FATAL_FAILURE(Flip(FindValue() + 3));
  ASSERT_EQ(reader_->Refresh(), OkStatus());
  std::string keys;
  const Status status = reader_->Scan("orders", "", "", [&](std::string_view key, const Found&) {
    keys.append(key);
    return true;
  });
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_EQ(keys, "before");
  EXPECT_EQ(faults_, std::vector<std::string>{"orders"});
  reader_->Release();
}

TEST_F(CacheFlipTest, BrokenHeaderStopsACutAndTakesTheCopyOutOfService) {
  ASSERT_NO_FATAL_FAILURE(Flip(FindValue() - kRecordHeader + 12));
  Changes live;
  live.Put("victim", At(2), "n");
  EXPECT_EQ(writer_->Apply(kOrders, live.Views(), At(2)).code(), StatusCode::kDataLoss);
  EXPECT_EQ(Get("orders", "before"), "<faulted>");
  EXPECT_EQ(faults_, std::vector<std::string>{"orders"});
  Changes fresh;
  fresh.Put("victim", At(3), "healed");
  LoadCopy(kOrders, fresh, 3);
  EXPECT_EQ(Get("orders", "victim"), "healed");
}

}  // namespace
}  // namespace agent

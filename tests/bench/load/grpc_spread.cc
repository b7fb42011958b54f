#include "tests/bench/load/grpc_spread.h"

#include <poll.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <vector>

#include "tests/bench/load/dataset.h"
#include "tests/bench/load/grpc_clients.h"
#include "tests/bench/load/process_cpu.h"
#include "tests/bench/load/resp_socket.h"
#include "tests/bench/load/samples.h"

namespace bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::size_t kFillWrites = 1000;
constexpr std::uint64_t kInFlightMax = 48;

double Seconds(std::int64_t nanos) { return static_cast<double>(nanos) / kSecond; }

// Either side's publisher and subscribers behind one face.
class Spread {
 public:
  explicit Spread(const SpreadOptions& options) : options_(options) {
    if (options.etcd) {
      etcd_ = std::make_unique<UnaryClient>(options.address);
      return;
    }
    ours_ = std::make_unique<PublishClient>(options.address, options.owner, wake_);
  }

  void Subscribe() {
    for (std::size_t i = 0; i < options_.subscribers; ++i) {
      if (options_.etcd) {
        watchers_.push_back(std::make_unique<EtcdWatcher>(options_.address, wake_));
      } else {
        counting_.push_back(std::make_unique<CountingSubscriber>(options_.address, options_.service,
                                                                 static_cast<int>(i), wake_));
      }
    }
    const auto synced = [](const auto& subscriber) { return subscriber->synced(); };
    while (!std::ranges::all_of(counting_, synced)) wake_.Wait(kWaitMs);
    base_.clear();
    for (std::size_t i = 0; i < options_.subscribers; ++i) base_.push_back(EntriesOf(i));
  }

  // A batch of `count` puts.
  void Publish(std::size_t count) {
    const std::uint64_t first = published_;
    const std::uint64_t round = 1 + first / options_.keys;
    published_ += count;
    ++sent_;
    if (!options_.etcd) {
      ours_->Publish(first % options_.keys, count, options_.keys, options_.value_bytes, round);
      return;
    }
    const auto done = [this] {
      etcd_durable_at_ = NowNs();
      ++etcd_durable_;
      wake_.Set();
    };
    if (count == 1) {
      etcd_->Call("/etcdserverpb.KV/Put",
                  EtcdPut(first % options_.keys, options_.value_bytes, round), done);
    } else {
      etcd_->Call("/etcdserverpb.KV/Txn",
                  EtcdTxn(first % options_.keys, count, options_.keys, options_.value_bytes, round),
                  done);
    }
  }

  std::uint64_t published() const { return published_; }
  std::uint64_t sent() const { return sent_; }
  std::uint64_t durable() const { return options_.etcd ? etcd_durable_.load() : ours_->durable(); }
  std::int64_t durable_at() const {
    return options_.etcd ? etcd_durable_at_.load() : ours_->durable_at();
  }
  // Updates that every subscriber has.
  std::uint64_t delivered() const {
    std::uint64_t least = published_;
    for (std::size_t i = 0; i < base_.size(); ++i) {
      least = std::min(least, EntriesOf(i) - base_[i]);
    }
    return least;
  }
  std::int64_t delivered_at() const {
    std::int64_t last = 0;
    for (const auto& watcher : watchers_) last = std::max(last, watcher->last_at());
    for (const auto& subscriber : counting_) last = std::max(last, subscriber->last_at());
    return last;
  }
  std::uint64_t responses() const {
    std::uint64_t sum = 0;
    for (const auto& subscriber : counting_) sum += subscriber->responses();
    return sum;
  }
  Wake& wake() { return wake_; }

 private:
  std::uint64_t EntriesOf(std::size_t i) const {
    return options_.etcd ? watchers_[i]->entries() : counting_[i]->entries();
  }

  const SpreadOptions options_;
  Wake wake_;
  std::unique_ptr<PublishClient> ours_;
  std::unique_ptr<UnaryClient> etcd_;
  std::vector<std::unique_ptr<CountingSubscriber>> counting_;
  std::vector<std::unique_ptr<EtcdWatcher>> watchers_;
  std::vector<std::uint64_t> base_;  // entries of the first load
  std::uint64_t published_ = 0;
  std::uint64_t sent_ = 0;  // batches
  std::atomic<std::uint64_t> etcd_durable_ = 0;
  std::atomic<std::int64_t> etcd_durable_at_ = 0;
};

// Where the time of one put at a time goes.
struct Hops {
  Samples durable, delivered, readable;
};

void OneRound(const SpreadOptions& options, Spread& spread, RespSocket* reader, Hops& hops) {
  const std::string key = FullKeyOf(spread.published() % options.keys);
  const std::int64_t sent = NowNs();
  spread.Publish(1);
  std::int64_t readable = reader == nullptr ? sent : 0;
  pollfd fds[2] = {{spread.wake().fd(), POLLIN, 0},
                   {reader == nullptr ? -1 : reader->fd(), POLLIN, 0}};
  while (readable == 0 || spread.durable() < spread.sent() ||
         spread.delivered() < spread.published()) {
    if (::poll(fds, 2, kWaitMs) <= 0) Die("a put did not arrive");
    if ((fds[0].revents & POLLIN) != 0) spread.wake().Clear();
    if ((fds[1].revents & POLLIN) == 0) continue;
    if (reader->Receive().find(key) != std::string_view::npos) readable = NowNs();
  }
  hops.durable.Add(spread.durable_at() - sent);
  if (options.subscribers > 0) hops.delivered.Add(spread.delivered_at() - sent);
  hops.readable.Add((reader == nullptr ? spread.delivered_at() : readable) - sent);
  ::poll(nullptr, 0, options.pause_ms);
}

bool MaySend(const SpreadOptions& options, const Spread& spread, std::int64_t elapsed) {
  if (spread.sent() - spread.durable() >= kInFlightMax) return false;
  if (spread.published() > spread.delivered() + options.behind_max) return false;
  if (options.updates_a_second <= 0) return true;
  const double due = options.updates_a_second * Seconds(elapsed);
  return static_cast<double>(spread.published() + options.batch) <= due;
}

}  // namespace

std::string RunFill(const SpreadOptions& options) {
  Wake wake;
  PublishClient client(options.address, options.owner, wake);
  const std::int64_t begin = NowNs();
  const auto room = [&] {
    while (client.sent() - client.durable() >= kInFlightMax) wake.Wait(kWaitMs);
  };
  for (std::uint64_t i = 0; i < options.keys; i += kFillWrites) {
    room();
    const std::uint64_t count = std::min<std::uint64_t>(kFillWrites, options.keys - i);
    client.Publish(i, count, options.keys, options.value_bytes, 0);
  }
  for (std::uint64_t i = 0; i < options.large_keys; ++i) {
    room();
    client.Publish(options.keys + i, 1, options.keys + i + 1, options.large_bytes, 0);
  }
  while (client.durable() < client.sent()) wake.Wait(kWaitMs);
  return fmt::format(R"({{"entries": {}, "seconds": {:.3f}}})", options.keys,
                     Seconds(NowNs() - begin));
}

std::string RunLatency(const SpreadOptions& options) {
  Spread spread(options);
  spread.Subscribe();
  std::unique_ptr<RespSocket> reader;
  if (!options.reader.empty()) {
    reader = std::make_unique<RespSocket>(options.reader);
    reader->Ask({"PSUBSCRIBE", fmt::format("__keyspace@0__:{}/*", kDataset)});
  }
  Hops hops;
  for (std::size_t i = 0; i < options.rounds; ++i) OneRound(options, spread, reader.get(), hops);
  return fmt::format(
      R"({{"rounds": {}, "p50_us": {:.1f}, "p99_us": {:.1f}, "durable_p50_us": {:.1f}, )"
      R"("durable_p99_us": {:.1f}, "delivered_p50_us": {:.1f}, "delivered_p99_us": {:.1f}}})",
      options.rounds, hops.readable.Microseconds(0.5), hops.readable.Microseconds(0.99),
      hops.durable.Microseconds(0.5), hops.durable.Microseconds(0.99),
      hops.delivered.Microseconds(0.5), hops.delivered.Microseconds(0.99));
}

std::string RunFanout(const SpreadOptions& options) {
  Spread spread(options);
  spread.Subscribe();
  const std::uint64_t responses = spread.responses();
  const std::int64_t begin = NowNs();
  const std::int64_t own_cpu = CpuNs();
  const double cpu = CpuSecondsOf(options.server_pid);
  const auto end = begin + static_cast<std::int64_t>(options.seconds * kSecond);
  while (NowNs() < end) {
    if (MaySend(options, spread, NowNs() - begin)) {
      spread.Publish(options.batch);
    } else {
      spread.wake().Wait(1);
    }
  }
  while (spread.delivered() < spread.published()) spread.wake().Wait(100);
  const double seconds = Seconds(NowNs() - begin);
  const double used = CpuSecondsOf(options.server_pid) - cpu;
  const auto deliveries = static_cast<double>(spread.published() * options.subscribers);
  return fmt::format(
      R"({{"updates": {}, "deliveries": {:.0f}, "seconds": {:.3f}, "server_cpu_s": {:.3f}, )"
      R"("deliveries_per_cpu_s": {:.0f}, "responses": {}, "cpu": {:.3f}}})",
      spread.published(), deliveries, seconds, used, used > 0 ? deliveries / used : 0.0,
      spread.responses() - responses, Seconds(CpuNs() - own_cpu) / seconds);
}

std::string RunHold(const SpreadOptions& options) {
  Spread spread(options);
  spread.Subscribe();
  fmt::print("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return fmt::format(R"({{"subscribers": {}}})", options.subscribers);
}

std::string RunPuts(const SpreadOptions& options) {
  UnaryClient client(options.address);
  std::atomic<std::uint64_t> done = 0;
  std::atomic<bool> stop = false;
  std::atomic<std::size_t> running = options.writers;
  Wake wake;
  std::function<void(std::uint64_t)> next = [&](std::uint64_t i) {
    client.Call("/etcdserverpb.KV/Put", EtcdPut(i % options.keys, options.value_bytes, 1), [&, i] {
      ++done;
      if (!stop.load()) return next(i + options.writers);
      --running;
      wake.Set();
    });
  };
  for (std::size_t i = 0; i < options.writers; ++i) next(i);
  wake.Wait(200);
  const std::uint64_t before = done.load();
  const std::int64_t begin = NowNs();
  const std::int64_t own_cpu = CpuNs();
  wake.Wait(static_cast<int>(options.seconds * 1000));
  const double seconds = Seconds(NowNs() - begin);
  const std::uint64_t puts = done.load() - before;
  const double busy = Seconds(CpuNs() - own_cpu) / seconds;
  stop = true;
  while (running.load() > 0) wake.Wait(100);
  return fmt::format(R"({{"requests": {}, "seconds": {:.3f}, "rate": {:.1f}, "cpu": {:.3f}}})",
                     puts, seconds, static_cast<double>(puts) / seconds, busy);
}

std::string RunUpdates(const SpreadOptions& options) {
  SpreadOptions without = options;
  without.subscribers = 0;
  Spread spread(without);
  const std::int64_t begin = NowNs();
  const auto end = begin + static_cast<std::int64_t>(options.seconds * kSecond);
  while (NowNs() < end) {
    if (MaySend(without, spread, NowNs() - begin)) {
      spread.Publish(options.batch);
    } else {
      spread.wake().Wait(1);
    }
  }
  return fmt::format(R"({{"updates": {}}})", spread.published());
}

}  // namespace bench

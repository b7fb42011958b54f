#include "tests/bench/load/resp_load.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <vector>

#include "tests/bench/load/dataset.h"
#include "tests/bench/load/resp_socket.h"
#include "tests/bench/load/samples.h"

namespace bench {
namespace {

constexpr int kEventsMax = 256;

std::string RequestOf(const LoadOptions& options, std::mt19937_64& random) {
  const auto key = [&] { return FullKeyOf(random() % options.keys); };
  const std::uint64_t dice = options.command == "mixed" ? random() % 10 : 0;
  if (options.command == "set") {
    const std::uint64_t i = random() % options.keys;
    return Command({"SET", FullKeyOf(i), ValueOf(i, options.value_bytes, random())});
  }
  if (options.command == "mget" || dice == 1) {
    std::vector<std::string> words{"MGET"};
    for (std::size_t i = 0; i < options.mget_keys; ++i) words.push_back(key());
    return Command(words);
  }
  if (dice == 2) return Command({"EXISTS", key()});
  if (dice == 3) return Command({"GET", key() + "-absent"});
  return Command({"GET", key()});
}

class RespLoad {
 public:
  explicit RespLoad(const LoadOptions& options) : options_(options), poll_(::epoll_create1(0)) {
    MakeRequests();
    for (std::size_t i = 0; i < options.connections; ++i) {
      connections_.emplace_back(RespSocket(options.address));
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, connections_[i].socket.fd(), &event);
    }
  }
  ~RespLoad() { ::close(poll_); }
  RespLoad(const RespLoad&) = delete;
  RespLoad& operator=(const RespLoad&) = delete;

  std::string Run() {
    for (Connection& connection : connections_) SendBatch(connection);
    RunFor(options_.warmup_seconds);
    latencies_ = {};
    replies_ = 0;
    const std::int64_t cpu = CpuNs();
    const double seconds = RunFor(options_.seconds);
    const double busy = static_cast<double>(CpuNs() - cpu) / 1e9 / seconds;
    return fmt::format(
        R"({{"requests": {}, "seconds": {:.4f}, "rate": {:.1f}, "p50_us": {:.2f}, )"
        R"("p99_us": {:.2f}, )"
        R"("p999_us": {:.2f}, "max_us": {:.2f}, "cpu": {:.3f}, "errors": {}, "error": "{}"}})",
        replies_, seconds, static_cast<double>(replies_) / seconds, latencies_.Microseconds(0.5),
        latencies_.Microseconds(0.99), latencies_.Microseconds(0.999), latencies_.Microseconds(1),
        busy, errors_, first_error_);
  }

 private:
  struct Connection {
    explicit Connection(RespSocket made) : socket(std::move(made)) {}
    RespSocket socket;
    std::size_t waiting = 0;
    std::int64_t sent_at = 0;
  };

  void MakeRequests() {
    std::mt19937_64 random(options_.seed);
    const std::uint64_t batches = std::max<std::uint64_t>(
        1, options_.requests_made / options_.pipeline / (options_.command == "mget" ? 64 : 1));
    for (std::uint64_t batch = 0; batch < batches; ++batch) {
      begins_.push_back(bytes_.size());
      for (std::size_t i = 0; i < options_.pipeline; ++i) bytes_ += RequestOf(options_, random);
    }
    begins_.push_back(bytes_.size());
  }

  void SendBatch(Connection& connection) {
    const std::size_t batch = next_batch_++ % (begins_.size() - 1);
    connection.waiting = options_.pipeline;
    connection.sent_at = NowNs();
    connection.socket.Send(
        std::string_view(bytes_).substr(begins_[batch], begins_[batch + 1] - begins_[batch]));
  }

  void OnReadable(Connection& connection) {
    if (!connection.socket.Fill(/*wait=*/false)) return;
    const std::size_t got = connection.socket.replies().SkipAll(errors_, first_error_);
    if (got > connection.waiting) Die("more replies than requests");
    replies_ += got;
    connection.waiting -= got;
    if (connection.waiting > 0) return;
    latencies_.Add(NowNs() - connection.sent_at);
    SendBatch(connection);
  }

  // The seconds it took.
  double RunFor(double seconds) {
    const std::int64_t begin = NowNs();
    const std::int64_t end = begin + static_cast<std::int64_t>(seconds * 1e9);
    std::int64_t now = begin;
    while (now < end) {
      epoll_event events[kEventsMax];
      const int count = ::epoll_wait(poll_, events, kEventsMax, 100);
      for (int i = 0; i < count; ++i) OnReadable(connections_[events[i].data.u64]);
      now = NowNs();
    }
    return static_cast<double>(now - begin) / 1e9;
  }

  const LoadOptions options_;
  const int poll_;
  std::string bytes_;                // all batches, one behind the other
  std::vector<std::size_t> begins_;  // of the batches, and the end
  std::size_t next_batch_ = 0;
  std::vector<Connection> connections_;
  Samples latencies_;
  std::uint64_t replies_ = 0;
  std::size_t errors_ = 0;
  std::string first_error_;
};

}  // namespace

std::string RunLoad(const LoadOptions& options) { return RespLoad(options).Run(); }

}  // namespace bench

#include "tests/bench/load/resp_spread.h"

#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "tests/bench/load/dataset.h"
#include "tests/bench/load/process_cpu.h"
#include "tests/bench/load/resp_socket.h"
#include "tests/bench/load/samples.h"

namespace bench {
namespace {

constexpr int kNoticeWaitMs = 10'000;
constexpr std::uint64_t kPublisher = UINT64_MAX;
constexpr std::int64_t kSecond = 1'000'000'000;

// Waits for a notice and for the +OK, in whichever order they come.
struct NoticeRun {
  explicit NoticeRun(const NoticeOptions& given)
      : options(given), writer(given.writer), reader(given.reader) {
    reader.Ask({"PSUBSCRIBE", fmt::format("__keyspace@0__:{}/*", kDataset)});
  }

  void Round(std::uint64_t i) {
    const std::uint64_t key = i % options.keys;
    const std::string request =
        Command({"SET", FullKeyOf(key), ValueOf(key, options.value_bytes, i + 1)});
    const std::int64_t sent = NowNs();
    writer.Send(request);
    bool noticed = false;
    bool answered = false;
    pollfd fds[2] = {{writer.fd(), POLLIN, 0}, {reader.fd(), POLLIN, 0}};
    while (!noticed || !answered) {
      if (::poll(fds, 2, kNoticeWaitMs) <= 0) Die("no notice within 10 s");
      const std::int64_t now = NowNs();
      if ((fds[1].revents & POLLIN) != 0 && !noticed) {
        const std::string_view notice = reader.Receive();
        if (notice.find(FullKeyOf(key)) == std::string_view::npos) continue;
        noticed = true;
        notices.Add(now - sent);
      }
      if ((fds[0].revents & POLLIN) != 0 && !answered) {
        if (writer.Receive() != "+OK\r\n") Die("SET was refused");
        answered = true;
        answers.Add(now - sent);
      }
    }
    ::poll(nullptr, 0, options.pause_ms);
  }

  const NoticeOptions options;
  RespSocket writer;
  RespSocket reader;
  Samples notices;
  Samples answers;
};

class PublishRun {
 public:
  explicit PublishRun(const PublishOptions& options)
      : options_(options), poll_(::epoll_create1(0)), publisher_(options.address) {
    for (std::size_t i = 0; i < options.subscribers; ++i) {
      subscribers_.emplace_back(options.address);
      subscribers_[i].Ask({"SUBSCRIBE", kDataset});
      epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
      ::epoll_ctl(poll_, EPOLL_CTL_ADD, subscribers_[i].fd(), &event);
    }
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kPublisher}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, publisher_.fd(), &event);
    got_.resize(options.subscribers);
    for (std::size_t i = 0; i < options_.batch; ++i) {
      batch_ += Command({"PUBLISH", kDataset, ValueOf(i, options.value_bytes)});
    }
  }
  ~PublishRun() { ::close(poll_); }
  PublishRun(const PublishRun&) = delete;
  PublishRun& operator=(const PublishRun&) = delete;

  std::string Run() {
    const std::int64_t begin = NowNs();
    const double cpu = CpuSecondsOf(options_.server_pid);
    const std::int64_t own_cpu = CpuNs();
    const auto end = begin + static_cast<std::int64_t>(options_.seconds * kSecond);
    while (NowNs() < end) {
      if (MaySend(NowNs() - begin)) SendBatch();
      TakeMessages(/*wait_ms=*/waiting_ > 0 || published_ > Slowest() ? 1 : 0);
    }
    while (Slowest() < published_) TakeMessages(/*wait_ms=*/100);
    const double seconds = static_cast<double>(NowNs() - begin) / kSecond;
    const double used = CpuSecondsOf(options_.server_pid) - cpu;
    const auto deliveries = static_cast<double>(published_ * options_.subscribers);
    return fmt::format(
        R"({{"updates": {}, "deliveries": {:.0f}, "seconds": {:.3f}, "server_cpu_s": {:.3f}, )"
        R"("deliveries_per_cpu_s": {:.0f}, "cpu": {:.3f}}})",
        published_, deliveries, seconds, used, used > 0 ? deliveries / used : 0.0,
        static_cast<double>(CpuNs() - own_cpu) / kSecond / seconds);
  }

 private:
  std::uint64_t Slowest() const { return *std::ranges::min_element(got_); }

  bool MaySend(std::int64_t elapsed) const {
    if (waiting_ > 0 || published_ > Slowest() + options_.behind_max) return false;
    if (options_.updates_a_second <= 0) return true;
    const double due = options_.updates_a_second * static_cast<double>(elapsed) / kSecond;
    return static_cast<double>(published_ + options_.batch) <= due;
  }

  void SendBatch() {
    publisher_.Send(batch_);
    waiting_ = options_.batch;
    published_ += options_.batch;
  }

  void TakeMessages(int wait_ms) {
    epoll_event events[512];
    const int count = ::epoll_wait(poll_, events, 512, wait_ms);
    std::size_t errors = 0;
    std::string error;
    for (int i = 0; i < count; ++i) {
      const std::uint64_t from = events[i].data.u64;
      RespSocket& socket = from == kPublisher ? publisher_ : subscribers_[from];
      if (!socket.Fill(/*wait=*/false)) continue;
      const std::size_t replies = socket.replies().SkipAll(errors, error);
      if (from == kPublisher) {
        waiting_ -= replies;
      } else {
        got_[from] += replies;
      }
    }
    if (errors > 0) Die(error);
  }

  const PublishOptions options_;
  const int poll_;
  RespSocket publisher_;
  std::vector<RespSocket> subscribers_;
  std::vector<std::uint64_t> got_;  // messages of each subscriber
  std::string batch_;
  std::size_t waiting_ = 0;
  std::uint64_t published_ = 0;
};

}  // namespace

std::string RunNotices(const NoticeOptions& options) {
  NoticeRun run(options);
  for (std::uint64_t i = 0; i < options.rounds; ++i) run.Round(i);
  return fmt::format(R"({{"rounds": {}, "p50_us": {:.1f}, "p99_us": {:.1f}, "ok_p50_us": {:.1f}, )"
                     R"("ok_p99_us": {:.1f}}})",
                     options.rounds, run.notices.Microseconds(0.5), run.notices.Microseconds(0.99),
                     run.answers.Microseconds(0.5), run.answers.Microseconds(0.99));
}

std::string RunPublish(const PublishOptions& options) { return PublishRun(options).Run(); }

}  // namespace bench

#include "control-plane/ctl/progress.h"

#include <fmt/format.h>

#include <algorithm>

namespace ctl {
namespace {

constexpr std::size_t kBarWidth = 20;

std::uint64_t PerSecond(std::uint64_t count, std::chrono::milliseconds time) {
  const auto ms = static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 1));
  return count * 1000 / ms;
}

// The share done as percent and bar, and the time left.
std::pair<std::string, std::string> Share(const Progress& progress) {
  if (!progress.bytes_total || *progress.bytes_total == 0) return {};
  const double share = std::min(
      1.0, static_cast<double>(progress.bytes_done) / static_cast<double>(*progress.bytes_total));
  const auto filled = static_cast<std::size_t>(share * static_cast<double>(kBarWidth));
  const std::string bar =
      fmt::format("{:3.0f}% [{:<{}}] ", share * 100, std::string(filled, '#'), kBarWidth);
  if (share <= 0) return {bar, ""};
  const double left = static_cast<double>(progress.elapsed.count()) * (1 - share) / share;
  const std::chrono::milliseconds rounded(static_cast<std::int64_t>(left));
  return {bar, ", ETA " + ShortDuration(rounded)};
}

}  // namespace

std::string WithThousands(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string ShortDuration(std::chrono::milliseconds time) {
  const std::int64_t ms = std::max<std::int64_t>(time.count(), 0);
  if (ms < 9'950) return fmt::format("{}.{}s", (ms + 50) / 1000, (ms + 50) / 100 % 10);
  const std::int64_t s = (ms + 500) / 1000;
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86'400, s / 3600 % 24);
}

std::string ProgressLine(const Progress& progress, std::size_t columns) {
  const auto [bar, eta] = Share(progress);
  const std::string rate = WithThousands(PerSecond(progress.records, progress.elapsed));
  std::string line =
      fmt::format("{}{} records, {}/s{}", bar, WithThousands(progress.records), rate, eta);
  if (line.size() > columns) line.resize(columns);
  return line;
}

std::string SummaryLine(const Progress& progress) {
  std::string line = fmt::format("imported {} records in {} batches in {:.1f} s ({} records/s)",
                                 WithThousands(progress.records), WithThousands(progress.batches),
                                 static_cast<double>(progress.elapsed.count()) / 1000,
                                 WithThousands(PerSecond(progress.records, progress.elapsed)));
  if (progress.records_skipped > 0) {
    line += fmt::format(", {} bad records skipped", WithThousands(progress.records_skipped));
  }
  return line;
}

}  // namespace ctl

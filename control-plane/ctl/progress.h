// Progress: how far an import has come, as a line for a terminal and as a summary.
//
// Thread: any.  Lifetime: pure functions over values.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace ctl {

struct Progress {
  std::uint64_t records = 0;
  std::uint64_t batches = 0;
  std::uint64_t records_skipped = 0;  // bad ones
  std::uint64_t bytes_done = 0;
  std::optional<std::uint64_t> bytes_total = {};  // absent: not a file
  std::chrono::milliseconds elapsed{0};
};

// " 42% [########            ] 420,000 records, 52,000/s, ETA 11s"; at most `columns` wide.
std::string ProgressLine(const Progress& progress, std::size_t columns);

// "imported 1,000,000 records in 1,000 batches in 12.3 s (81,300 records/s)"
std::string SummaryLine(const Progress& progress);

std::string WithThousands(std::uint64_t number);            // "1,000,000"
std::string ShortDuration(std::chrono::milliseconds time);  // "0.3s" "11s" "3m05s" "2h14m" "3d04h"

}  // namespace ctl

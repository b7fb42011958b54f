// ProgressPrinter: a progress line on a terminal, now and then; nothing where there is none.
//
// Thread: main.  Lifetime: one run of a verb; the Io outlives it.
#pragma once

#include <chrono>
#include <cstdint>

#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/verb.h"

namespace ctl {

class ProgressPrinter {
 public:
  explicit ProgressPrinter(const Io& io) : io_(io) {}

  // `total` 0: unknown.
  void Show(std::uint64_t rows, std::uint64_t total) {
    const auto now = Clock::now();
    if (!io_.err_is_terminal || now < next_) return;
    next_ = now + std::chrono::milliseconds(200);
    Progress progress{.records = rows, .bytes_done = rows};
    progress.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(now - begin_);
    if (total > 0) progress.bytes_total = total;
    io_.err << '\r' << ProgressLine(progress, io_.columns) << "\x1b[K" << std::flush;
    shown_ = true;
  }
  void Clear() {
    if (shown_) io_.err << "\r\x1b[K" << std::flush;
    shown_ = false;
  }

 private:
  using Clock = std::chrono::steady_clock;
  const Io& io_;
  const Clock::time_point begin_ = Clock::now();
  Clock::time_point next_ = begin_;
  bool shown_ = false;
};

}  // namespace ctl

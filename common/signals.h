// Signals: SIGTERM and SIGINT as something that main waits for.
//
// Thread: BlockStopSignals in main before any other thread starts (they inherit the mask);
// WaitForStopSignal in main.
#pragma once

#include <unistd.h>
#include <csignal>

namespace common {

inline sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Also ignores SIGPIPE: a peer that has gone is an error of its write, not the end of the process.
inline void BlockStopSignals() {
  const sigset_t set = StopSignals();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

// Returns the signal that came.
inline int WaitForStopSignal() {
  const sigset_t set = StopSignals();
  int signal = 0;
  while (sigwait(&set, &signal) != 0) {
  }
  return signal;
}

// As if an operator had sent SIGTERM; from any thread.
inline void RequestStop() { kill(getpid(), SIGTERM); }

}  // namespace common

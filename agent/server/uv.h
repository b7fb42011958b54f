// uv: libuv as RAII values – Loop, Waker, Timer, Pipe. The only files that call uv_*.
//
// Thread: everything belongs to the thread that runs its Loop, except Waker::Wake.
// Lifetime: the Loop outlives all that is made on it; what is destroyed closes itself and libuv's
// part is freed by the loop's next turn, so handlers may destroy their own Timer or Pipe as the
// last thing they do. Source: docs.libuv.org (1.44).
#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/server/connected.h"
#include "common/mutex.h"
#include "common/status.h"

namespace agent::uv {

class Loop {
 public:
  Loop();
  ~Loop();  // runs what is left of closing. REQUIRES: all that was made on it is destroyed
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void Run();   // until Stop
  void Stop();  // on the loop's thread; Run returns at the end of this turn
  uv_loop_t* raw() { return &loop_; }

 private:
  uv_loop_t loop_;
};

// Lets any thread start a turn of the loop. Copies share one handle; a Wake after the Async is gone
// does nothing.
class Waker {
 public:
  void Wake() const;

 private:
  friend class Async;
  struct Shared {
    common::Mutex mutex;
    uv_async_t* handle TSA_GUARDED_BY(mutex) = nullptr;
  };
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
};

// Runs `on_wake` in a turn of the loop after one or more Wakes.
class Async {
 public:
  Async(Loop& loop, std::function<void()> on_wake);
  ~Async();
  Async(const Async&) = delete;
  Async& operator=(const Async&) = delete;
  const Waker& waker() const { return waker_; }

 private:
  struct Handle;
  Handle* handle_;
  Waker waker_;
};

// Runs `after_events` at the end of every turn that had events, before the loop may sleep.
class TurnEnd {
 public:
  TurnEnd(Loop& loop, std::function<void()> after_events);
  ~TurnEnd();
  TurnEnd(const TurnEnd&) = delete;
  TurnEnd& operator=(const TurnEnd&) = delete;

 private:
  struct Handle;
  Handle* handle_;
};

class Timer {
 public:
  Timer(Loop& loop, std::function<void()> on_time);
  ~Timer();
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  void Start(std::chrono::milliseconds delay);  // once; replaces an earlier Start
  void Stop();

 private:
  struct Handle;
  Handle* handle_;
};

// Runs `step` once in every turn of the loop, which does not sleep, while it returns true.
class Idle {
 public:
  Idle(Loop& loop, std::function<bool()> step);
  ~Idle();
  Idle(const Idle&) = delete;
  Idle& operator=(const Idle&) = delete;
  void Start();

 private:
  struct Handle;
  Handle* handle_;
};

// What happens on a connected Pipe. A handler may destroy the Pipe before it returns.
class PipeHandler {
 public:
  PipeHandler() = default;
  PipeHandler(const PipeHandler&) = delete;
  PipeHandler& operator=(const PipeHandler&) = delete;
  virtual ~PipeHandler() = default;
  virtual void OnRead(std::string_view bytes) = 0;
  virtual void OnEnd() = 0;      // the peer will send nothing more
  virtual void OnFailed() = 0;   // reading or writing failed
  virtual void OnWritten() = 0;  // the last Write is with the kernel
};

// One end of a connected stream socket.
class Pipe {
 public:
  // `scratch`: where bytes are read to; valid during OnRead only, so pipes of a loop may share it.
  Pipe(Loop& loop, std::span<char> scratch, PipeHandler& handler);
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  // Instead of Listener::Accept; false if it cannot be used.
  [[nodiscard]] bool Open(Connected connection);
  void StartReading();
  void StopReading();
  // Writes what the kernel takes now: the number of bytes, 0 if it is full, or -1 if the peer is
  // gone.  REQUIRES: no Write under way.
  std::ptrdiff_t TryWrite(std::string_view bytes);
  // Writes all of `bytes`, then OnWritten or OnFailed.  REQUIRES: no Write under way.
  void Write(std::string bytes);

 private:
  friend class Listener;
  struct Handle;
  Handle* handle_;
};

// Listens on the Unix socket at a path.
class Listener {
 public:
  // Binds, sets the file's `mode`, then listens. `on_connection` should Accept; not called for
  // failures that the kernel reports for a single connection.
  static common::StatusOr<std::unique_ptr<Listener>> Listen(Loop& loop, const std::string& path,
                                                            unsigned mode,
                                                            std::function<void()> on_connection);
  ~Listener();  // removes the socket file
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  // Takes the waiting connection into `pipe`; false if it is gone already.
  [[nodiscard]] bool Accept(Pipe& pipe);
  // Takes it for a Pipe of another loop; not valid if it is gone, or there are too many open files.
  Connected AcceptForOther();

 private:
  struct Handle;
  explicit Listener(Handle* handle) : handle_(handle) {}
  Handle* handle_;
};

}  // namespace agent::uv

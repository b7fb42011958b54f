#include "agent/server/uv.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace agent::uv {
namespace {

constexpr int kListenBacklog = 4096;  // a client that may not wait is refused beyond it

// Closes libuv's part of `handle` and frees the whole in the loop's next turn.
template <class Handle, class Raw>
void CloseAndFree(Handle* handle, Raw* raw) {
  raw->data = handle;
  uv_close(reinterpret_cast<uv_handle_t*>(raw),
           [](uv_handle_t* closed) { delete static_cast<Handle*>(closed->data); });
}

uv_stream_t* Stream(uv_pipe_t& pipe) { return reinterpret_cast<uv_stream_t*>(&pipe); }

}  // namespace

Loop::Loop() { CHECK(uv_loop_init(&loop_) == 0); }

Loop::~Loop() {
  uv_run(&loop_, UV_RUN_DEFAULT);
  CHECK(uv_loop_close(&loop_) == 0);
}

void Loop::Run() { uv_run(&loop_, UV_RUN_DEFAULT); }
void Loop::Stop() { uv_stop(&loop_); }

// --- Async ------------------------------------------------------------------------------------

struct Async::Handle {
  uv_async_t async;
  std::function<void()> on_wake;
};

void Waker::Wake() const {
  common::MutexLock lock(shared_->mutex);
  if (shared_->handle != nullptr) uv_async_send(shared_->handle);
}

Async::Async(Loop& loop, std::function<void()> on_wake)
    : handle_(new Handle{.async = {}, .on_wake = std::move(on_wake)}) {
  CHECK(uv_async_init(loop.raw(), &handle_->async, [](uv_async_t* async) {
          static_cast<Handle*>(async->data)->on_wake();
        }) == 0);
  handle_->async.data = handle_;
  common::MutexLock lock(waker_.shared_->mutex);
  waker_.shared_->handle = &handle_->async;
}

Async::~Async() {
  {
    common::MutexLock lock(waker_.shared_->mutex);
    waker_.shared_->handle = nullptr;
  }
  CloseAndFree(handle_, &handle_->async);
}

// --- TurnEnd ----------------------------------------------------------------------------------

struct TurnEnd::Handle {
  uv_check_t check;
  std::function<void()> after_events;
};

TurnEnd::TurnEnd(Loop& loop, std::function<void()> after_events)
    : handle_(new Handle{.check = {}, .after_events = std::move(after_events)}) {
  uv_check_init(loop.raw(), &handle_->check);
  handle_->check.data = handle_;
  uv_check_start(&handle_->check,
                 [](uv_check_t* check) { static_cast<Handle*>(check->data)->after_events(); });
}

TurnEnd::~TurnEnd() { CloseAndFree(handle_, &handle_->check); }

// --- Timer ------------------------------------------------------------------------------------

struct Timer::Handle {
  uv_timer_t timer;
  std::function<void()> on_time;
};

Timer::Timer(Loop& loop, std::function<void()> on_time)
    : handle_(new Handle{.timer = {}, .on_time = std::move(on_time)}) {
  uv_timer_init(loop.raw(), &handle_->timer);
  handle_->timer.data = handle_;
}

Timer::~Timer() { CloseAndFree(handle_, &handle_->timer); }

void Timer::Start(std::chrono::milliseconds delay) {
  uv_timer_start(
      &handle_->timer, [](uv_timer_t* timer) { static_cast<Handle*>(timer->data)->on_time(); },
      static_cast<std::uint64_t>(delay.count()), 0);
}

void Timer::Stop() { uv_timer_stop(&handle_->timer); }

// --- Idle -------------------------------------------------------------------------------------

struct Idle::Handle {
  uv_idle_t idle;
  std::function<bool()> step;
};

Idle::Idle(Loop& loop, std::function<bool()> step)
    : handle_(new Handle{.idle = {}, .step = std::move(step)}) {
  uv_idle_init(loop.raw(), &handle_->idle);
  handle_->idle.data = handle_;
}

Idle::~Idle() { CloseAndFree(handle_, &handle_->idle); }

void Idle::Start() {
  uv_idle_start(&handle_->idle, [](uv_idle_t* idle) {
    if (!static_cast<Handle*>(idle->data)->step()) uv_idle_stop(idle);
  });
}

// --- Pipe -------------------------------------------------------------------------------------

// Outlives its Pipe until libuv has closed it; `handler` is null once the Pipe is gone.
struct Pipe::Handle {
  uv_pipe_t pipe;
  uv_write_t write;
  std::string writing;
  std::span<char> scratch;
  PipeHandler* handler = nullptr;

  static void Allocate(uv_handle_t* raw, std::size_t /*suggested*/, uv_buf_t* buffer) {
    const auto* self = static_cast<Handle*>(raw->data);
    *buffer = uv_buf_init(self->scratch.data(), static_cast<unsigned>(self->scratch.size()));
  }
  static void Read(uv_stream_t* raw, ssize_t count, const uv_buf_t* buffer) {
    auto* self = static_cast<Handle*>(raw->data);
    if (self->handler == nullptr || count == 0) return;
    if (count > 0) {
      self->handler->OnRead({buffer->base, static_cast<std::size_t>(count)});
    } else if (count == UV_EOF) {
      self->handler->OnEnd();
    } else {
      self->handler->OnFailed();
    }
  }
  static void Written(uv_write_t* request, int code) {
    auto* self = static_cast<Handle*>(request->data);
    self->writing = std::string();
    if (self->handler == nullptr) return;
    if (code == 0) {
      self->handler->OnWritten();
    } else {
      self->handler->OnFailed();
    }
  }
};

Pipe::Pipe(Loop& loop, std::span<char> scratch, PipeHandler& handler) : handle_(new Handle()) {
  CHECK(uv_pipe_init(loop.raw(), &handle_->pipe, 0) == 0);
  handle_->pipe.data = handle_;
  handle_->write.data = handle_;
  handle_->scratch = scratch;
  handle_->handler = &handler;
}

Pipe::~Pipe() {
  handle_->handler = nullptr;
  CloseAndFree(handle_, &handle_->pipe);
}

bool Pipe::Open(Connected connection) {
  const int fd = connection.Take();
  if (uv_pipe_open(&handle_->pipe, fd) == 0) return true;
  close(fd);
  return false;
}

void Pipe::StartReading() {
  uv_read_start(Stream(handle_->pipe), &Handle::Allocate, &Handle::Read);
}

void Pipe::StopReading() { uv_read_stop(Stream(handle_->pipe)); }

std::ptrdiff_t Pipe::TryWrite(std::string_view bytes) {
  // libuv takes mutable buffers but does not write to them.
  const uv_buf_t buffer =
      uv_buf_init(const_cast<char*>(bytes.data()), static_cast<unsigned>(bytes.size()));
  const int count = uv_try_write(Stream(handle_->pipe), &buffer, 1);
  if (count == UV_EAGAIN) return 0;
  return count < 0 ? -1 : count;
}

void Pipe::Write(std::string bytes) {
  handle_->writing = std::move(bytes);
  const uv_buf_t buffer =
      uv_buf_init(handle_->writing.data(), static_cast<unsigned>(handle_->writing.size()));
  CHECK(uv_write(&handle_->write, Stream(handle_->pipe), &buffer, 1, &Handle::Written) == 0);
}

// --- Listener ---------------------------------------------------------------------------------

struct Listener::Handle {
  uv_pipe_t pipe;
  std::function<void()> on_connection;
};

common::StatusOr<std::unique_ptr<Listener>> Listener::Listen(Loop& loop, const std::string& path,
                                                             unsigned mode,
                                                             std::function<void()> on_connection) {
  auto* handle = new Handle{.pipe = {}, .on_connection = std::move(on_connection)};
  CHECK(uv_pipe_init(loop.raw(), &handle->pipe, 0) == 0);
  std::unique_ptr<Listener> listener(new Listener(handle));  // closes the handle on failure
  handle->pipe.data = handle;
  if (const int code = uv_pipe_bind(&handle->pipe, path.c_str()); code != 0) {
    return common::Error(common::StatusCode::kUnavailable, "cannot bind the socket {}: {}", path,
                         uv_strerror(code));
  }
  if (chmod(path.c_str(), static_cast<mode_t>(mode)) != 0) {
    return common::Error(common::StatusCode::kUnavailable, "cannot set mode {:o} of {}: {}", mode,
                         path, common::ErrnoText(errno));
  }
  const int code =
      uv_listen(Stream(handle->pipe), kListenBacklog, [](uv_stream_t* raw, int status) {
        if (status == 0) static_cast<Handle*>(raw->data)->on_connection();
      });
  if (code != 0) {
    return common::Error(common::StatusCode::kUnavailable, "cannot listen on {}: {}", path,
                         uv_strerror(code));
  }
  return listener;
}

Listener::~Listener() { CloseAndFree(handle_, &handle_->pipe); }

bool Listener::Accept(Pipe& pipe) {
  return uv_accept(Stream(handle_->pipe), Stream(pipe.handle_->pipe)) == 0;
}

// libuv accepts into a pipe of the listener's loop only, and does not give up its descriptor: the
// other loop gets a duplicate.
Connected Listener::AcceptForOther() {
  auto* taken = new uv_pipe_t();
  CHECK(uv_pipe_init(handle_->pipe.loop, taken, 0) == 0);
  int fd = -1;
  const bool accepted = uv_accept(Stream(handle_->pipe), Stream(*taken)) == 0 &&
                        uv_fileno(reinterpret_cast<uv_handle_t*>(taken), &fd) == 0;
  Connected connection(accepted ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1);
  uv_close(reinterpret_cast<uv_handle_t*>(taken),
           [](uv_handle_t* closed) { delete reinterpret_cast<uv_pipe_t*>(closed); });
  return connection;
}

}  // namespace agent::uv

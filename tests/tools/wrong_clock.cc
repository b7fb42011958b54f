// wrong_clock: preloaded into a program (LD_PRELOAD), makes its wall clock, as C++ tells it, wrong
// by WRONG_CLOCK_MS milliseconds.
//
// Thread: any.  Lifetime: the process.
// Libraries that ask the kernel by themselves (gRPC) go on with the true time. What the program
// waits for on its wall clock is put right again, as the kernel would do it.
#include <dlfcn.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <time.h>

#include <cstdint>
#include <cstdlib>

namespace {

constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

std::int64_t WrongBy() {  // nanoseconds
  static const char* const text = std::getenv("WRONG_CLOCK_MS");
  static const std::int64_t millis = text == nullptr ? 0 : std::strtoll(text, nullptr, 10);
  return millis * 1'000'000;
}

bool IsProgram(const void* address) {
  Dl_info here{}, program{};
  return dladdr(address, &here) != 0 &&
         dladdr(reinterpret_cast<const void*>(getauxval(AT_ENTRY)), &program) != 0 &&
         here.dli_fbase == program.dli_fbase;
}

}  // namespace

// std::chrono::system_clock::now: nanoseconds since 1970 are all that is in a time_point.
extern "C" std::int64_t WrongNow() asm("_ZNSt6chrono3_V212system_clock3nowEv");

extern "C" std::int64_t WrongNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec + WrongBy();
}

extern "C" int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                                      const timespec* until) {
  using Real = int (*)(pthread_cond_t*, pthread_mutex_t*, const timespec*);
  static const Real real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "pthread_cond_timedwait"));
  if (!IsProgram(__builtin_return_address(0))) return real(condition, mutex, until);
  const std::int64_t nanos = until->tv_sec * kNanosPerSecond + until->tv_nsec - WrongBy();
  const timespec right{.tv_sec = nanos / kNanosPerSecond, .tv_nsec = nanos % kNanosPerSecond};
  return real(condition, mutex, &right);
}

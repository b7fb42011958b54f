// Are the replies of two servers the same, byte for byte? Asked before anything is timed.
//
// Thread: one.  Lifetime: functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace bench {

struct CheckOptions {
  std::string ours;
  std::string peer;
  std::uint64_t keys = 1'000'000;
  std::uint64_t large_keys = 0;  // behind the others: KeyOf(keys) …
  std::size_t commands = 20'000;
  std::uint64_t seed = 1;
};

// Sends the same mixed commands (hits, misses, MGET, EXISTS, STRLEN, GETRANGE, large values, wrong
// arity) to both, in pipelines cut at random bytes. Ends the program at the first difference.
void CheckSame(const CheckOptions& options);

// Sets keys 0 … `keys`-1 of `value_bytes`, then `large_keys` of `large_bytes`, at a Redis server.
struct FillOptions {
  std::string address;
  std::uint64_t keys = 1'000'000;
  std::size_t value_bytes = 100;
  std::uint64_t large_keys = 0;
  std::size_t large_bytes = 256 * 1024;
};
void FillRedis(const FillOptions& options);

}  // namespace bench

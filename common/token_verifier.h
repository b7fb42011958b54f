// TokenVerifier: who a bearer token proves its bearer to be.
//
// Thread: any, several at a time.  Lifetime: outlives the server that asks it.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace common {

class TokenVerifier {
 public:
  TokenVerifier() = default;
  TokenVerifier(const TokenVerifier&) = delete;
  TokenVerifier& operator=(const TokenVerifier&) = delete;
  virtual ~TokenVerifier() = default;

  // The service that the token proves. UNAUTHENTICATED: none, for good. UNAVAILABLE: cannot be told
  // just now. May block.
  virtual StatusOr<std::string> Verify(std::string_view token) = 0;
  // What Verify said lately; UNAVAILABLE when that is forgotten. Does not block.
  virtual StatusOr<std::string> Remembered(std::string_view token) const = 0;
};

}  // namespace common

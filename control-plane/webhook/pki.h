// Pki: the injector's certificate authority and the certificates it signs, renewed in good time.
//
// Thread: any.  Lifetime: values; pure but for fresh keys: time is passed in.
// A new authority is published (in `Bundle`) for the overlap before it signs anything, and the old
// one stays published until it expires, so that whoever checks by a bundle that is a little old or
// a little new always finds the signer. Keys are P-256.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/status.h"

namespace cp {

struct KeyPair {
  std::string certificate;  // PEM
  std::string key;          // PEM
  friend bool operator==(const KeyPair&, const KeyPair&) = default;
};

struct PkiOptions {
  std::chrono::seconds authority_life = std::chrono::hours(24 * 730);
  std::chrono::seconds leaf_life = std::chrono::hours(24 * 90);
  std::chrono::seconds overlap = std::chrono::hours(24);
  std::vector<std::string> webhook_names;  // DNS names or IP addresses
  std::vector<std::string> server_names;
};

struct Pki {
  KeyPair authority;     // signs
  KeyPair next;          // published, signs later; may be empty
  std::string previous;  // certificate of the one before; may be empty
  KeyPair webhook;
  KeyPair server;

  std::string Bundle() const;  // every authority that may have signed what is in use
  friend bool operator==(const Pki&, const Pki&) = default;
};

// What is missing, ends soon, is unreadable or names other hosts is made anew; everything else
// stays byte for byte, so that equal results need no writing.
common::StatusOr<Pki> RenewPki(Pki pki, const PkiOptions& options, std::int64_t now_s);

// The `data` of a Secret and back; what is absent there is empty here.
std::map<std::string, std::string> PkiToFiles(const Pki& pki);
Pki PkiFromFiles(const std::map<std::string, std::string>& files);

// When the first certificate of a PEM text ends, Unix seconds. INVALID_ARGUMENT: none in it.
common::StatusOr<std::int64_t> ExpiryOf(const std::string& certificate);

}  // namespace cp

#include "agent/server/key_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "agent/server/resp_errors.h"
#include "common/limits.h"

namespace agent {
namespace {

ReadResult ResultOf(Coverage coverage) {
  switch (coverage) {
    case Coverage::kReadable:
      return ReadResult::kHit;
    case Coverage::kNotSubscribed:
      return ReadResult::kNotSubscribed;
    case Coverage::kLoading:
      return ReadResult::kLoading;
    case Coverage::kNoDataset:
      return ReadResult::kNoDataset;
    case Coverage::kNoPermission:
      return ReadResult::kNoPermission;
    case Coverage::kFaulted:
      return ReadResult::kFaulted;
  }
  return ReadResult::kError;
}

// "key outside the prefixes" is said only when the dataset has copies at all.
std::string Explain(Session& session, const Reader& reader, Coverage coverage, const KeyRef& ref) {
  if (coverage != Coverage::kNotSubscribed) {
    return CoverageError(coverage, ref.dataset, ref.key, session.services().identity.service);
  }
  bool other_part = false;
  for (const std::string& dataset : reader.Datasets()) other_part |= dataset == ref.dataset;
  const auto status = session.services().status.Get();
  if (!status->wanted_known) {
    return fmt::format(
        "LOADING service {} has not learned its subscriptions from the control plane yet; try "
        "again shortly",
        session.services().identity.service);
  }
  for (const CopyStatus& copy : status->copies) {
    if (copy.collection.dataset != ref.dataset || copy.mode == common::Mode::kReplicate) continue;
    if (copy.collection.Covers(ref.key)) {
      return NotYetError(
          fmt::format("mode {} (of dataset {})", common::ModeName(copy.mode), ref.dataset));
    }
  }
  return CoverageError(coverage, ref.dataset, other_part ? ref.key : std::string_view(),
                       session.services().identity.service);
}

KeyRead Failed(Session& session, ReadResult result, std::string error, std::string_view client_key,
               bool name_key) {
  session.Count(result);
  if (name_key) error += fmt::format(" (key {})", client_key);
  return {.error = std::move(error)};
}

}  // namespace

std::optional<KeyRef> SplitKey(std::string_view client_key, std::string& error) {
  const std::size_t slash = client_key.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == client_key.size()) {
    error = kNotAKeyError;
    return std::nullopt;
  }
  const KeyRef ref{client_key.substr(0, slash), client_key.substr(slash + 1)};
  if (ref.key.size() > common::kKeyBytesMax || ref.dataset.size() > common::kDatasetNameBytesMax) {
    error = fmt::format("TOOBIG key of {} bytes in a dataset name of {}; at most {} and {}",
                        ref.key.size(), ref.dataset.size(), common::kKeyBytesMax,
                        common::kDatasetNameBytesMax);
    return std::nullopt;
  }
  return ref;
}

void PrefetchKeys(const Reader& reader, std::span<const std::string_view> client_keys) {
  std::array<KeyRef, kPrefetchedKeysMax> keys;
  std::size_t count = 0;
  for (const std::string_view key : client_keys.first(std::min(client_keys.size(), keys.size()))) {
    const std::size_t slash = key.find('/');
    if (slash == std::string_view::npos) continue;  // who reads it says that it is no key
    keys[count++] = {key.substr(0, slash), key.substr(slash + 1)};
  }
  reader.Prefetch({keys.data(), count});
}

KeyRead ReadKey(Session& session, const Reader& reader, std::string_view client_key,
                bool name_key) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  if (!ref) {
    return Failed(session, ReadResult::kError, std::move(error), client_key, name_key);
  }
  const Coverage coverage = reader.CoverageOf(ref->dataset, ref->key);
  if (coverage != Coverage::kReadable) {
    return Failed(session, ResultOf(coverage), Explain(session, reader, coverage, *ref), client_key,
                  name_key);
  }
  auto found = reader.Get(ref->dataset, ref->key);
  if (!found.ok()) {
    const bool lost = found.status().code() == common::StatusCode::kDataLoss;
    return Failed(session, lost ? ReadResult::kFaulted : ReadResult::kError,
                  ReadError(found.status(), ref->dataset), client_key, name_key);
  }
  if (*found && (*found)->entry.expires_at_ms != 0 &&
      (*found)->entry.expires_at_ms <= session.services().clock.UnixMillis()) {
    found->reset();
  }
  session.Count(found->has_value() ? ReadResult::kHit : ReadResult::kMiss);
  return {.found = *found};
}

}  // namespace agent

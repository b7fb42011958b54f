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
    case Coverage::kNotHeld:
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
    if (copy.collection.dataset != ref.dataset) continue;
    if (copy.phase != CopyPhase::kUnsupported) continue;
    if (copy.collection.Covers(ref.key)) {
      return fmt::format("NOTSUBSCRIBED dataset {} is left out: {}", ref.dataset, copy.note);
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

std::optional<common::Version> VersionOf(const std::optional<Found>& found) {
  return found ? std::optional(found->version) : std::nullopt;
}

// Whether the key was written here lately and its copy has not come as far as that.
bool IsBehindWrite(Session& session, const Reader& reader, const KeyRef& ref) {
  Services& services = session.services();
  RecentWrites& writes = services.shared.recent_writes;
  if (!writes.any()) return false;
  const auto written = writes.Find(ref.dataset, ref.key, services.clock.Now());
  if (!written) return false;
  const auto reach = reader.ReachOf(ref.dataset, ref.key);
  return !reach || ReachOf(*reach, *written) == Reach::kNotYet;
}

KeyRead LookUp(Session& session, const Reader& reader, const KeyRef& ref,
               std::string_view client_key, bool name_key) {
  const auto answer = reader.LookUp(ref);
  if (!answer.ok()) {
    const bool lost = answer.status().code() == common::StatusCode::kDataLoss;
    return Failed(session, lost ? ReadResult::kFaulted : ReadResult::kError,
                  ReadError(answer.status(), ref.dataset), client_key, name_key);
  }
  if (answer->coverage == Coverage::kNotHeld) {
    const bool committed = session.need().min_rev || IsBehindWrite(session, reader, ref);
    return Lacking(session, committed ? ReadQuestion::Kind::kStrong : ReadQuestion::Kind::kOnDemand,
                   ref);
  }
  if (answer->coverage != Coverage::kReadable) {
    return Failed(session, ResultOf(answer->coverage),
                  Explain(session, reader, answer->coverage, ref), client_key, name_key);
  }
  if (IsBehindWrite(session, reader, ref)) {
    return Lacking(session, ReadQuestion::Kind::kStrong, ref);
  }
  KeyRead read{.found = answer->found};
  if (read.found && session.Expired(read.found->entry.expires_at_ms)) read.found.reset();
  session.NoteVersion(client_key, VersionOf(read.found));
  session.Count(read.found ? ReadResult::kHit : ReadResult::kMiss);
  // Nobody tells the client when an entry expires: it is not to be kept, like a remote answer.
  const bool expires = read.found && read.found->entry.expires_at_ms != 0;
  session.NoteRead(client_key, /*remote=*/expires);
  return read;
}

KeyRead FromRemote(Session& session, const RemoteRead& got, std::string_view client_key) {
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(
      session.services().clock.Now() - got.as_of);
  KeyRead read{.remote = true, .age = age};
  if (got.entry.found) {  // the control plane has judged its expiry
    read.found = Found{.entry = {.value = got.entry.value,
                                 .published_at_ms = got.entry.published_at_ms,
                                 .expires_at_ms = got.entry.expires_at_ms,
                                 .content_type = got.entry.content_type},
                       .version = got.entry.version};
  }
  session.NoteVersion(client_key, VersionOf(read.found));
  session.Count(read.found ? ReadResult::kRemoteHit : ReadResult::kRemoteMiss);
  session.NoteRead(client_key, /*remote=*/true);
  return read;
}

// An answer that was on its way already may be older than the bound.
std::optional<KeyRead> TooOld(Session& session, const RemoteRead& got, const KeyRef& ref,
                              std::string_view client_key, bool name_key) {
  if (!got.shared) return std::nullopt;
  const CopyStatus* copy = session.services().snapshot.status().Covering(ref.dataset, ref.key);
  if (copy == nullptr) return std::nullopt;
  CopyStatus answered = *copy;
  answered.proven_at = got.as_of;
  const Verdict verdict = Judge(&answered, session.need(), session.services().clock.Now());
  if (verdict.path != ReadPath::kStale) return std::nullopt;
  return Failed(session, ReadResult::kStale, StaleError(ref.dataset, verdict.age, verdict.bound),
                client_key, name_key);
}

// Whether the copy has what the read's token stands for; else the error, or what is lacking.
bool HasToken(Session& session, const Reader& reader, const KeyRef& ref, std::string& error) {
  const Token& token = *session.need().min_rev;
  const auto cursor = reader.ReachOf(ref.dataset, ref.key);
  if (!cursor) return true;  // the look-up says why it cannot be read
  switch (ReachOf(*cursor, token)) {
    case Reach::kThere:
      return true;
    case Reach::kOtherEpoch:
      error = EpochError(token, ref.dataset, cursor->epoch);
      return false;
    case Reach::kNotYet:
      break;
  }
  session.lacks().timeout = session.need().timeout;
  session.lacks().targets.push_back(
      {.dataset = std::string(ref.dataset), .key = std::string(ref.key), .token = token});
  return false;
}

// Decides who may answer, then asks.
KeyRead Weigh(Session& session, const Reader& reader, const KeyRef& ref,
              std::string_view client_key, bool name_key) {
  const common::MonotonicTime now = session.services().clock.Now();
  const CopyStatus* copy = session.services().snapshot.status().Covering(ref.dataset, ref.key);
  const Verdict verdict = Judge(copy, session.need(), now);
  if (verdict.path == ReadPath::kRemote) {
    return Lacking(session, ReadQuestion::Kind::kStrong, ref);
  }
  std::string error;
  if (session.need().min_rev && !HasToken(session, reader, ref, error)) {
    return error.empty()
               ? KeyRead()
               : Failed(session, ReadResult::kError, std::move(error), client_key, name_key);
  }
  const bool readable = reader.CoverageOf(ref.dataset, ref.key) == Coverage::kReadable;
  if (verdict.path == ReadPath::kStale && readable) {
    return Failed(session, ReadResult::kStale, StaleError(ref.dataset, verdict.age, verdict.bound),
                  client_key, name_key);
  }
  KeyRead read = LookUp(session, reader, ref, client_key, name_key);
  if (copy != nullptr) read.age = AgeOf(*copy, now);
  return read;
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

std::optional<Found> ReadAtOnce(Session& session, const Reader& reader, const PrefetchedKey& key) {
  if (!session.reads_only_look()) return std::nullopt;
  auto found = reader.LookUpPrefetched(key);
  if (!found || found->entry.expires_at_ms != 0) return std::nullopt;
  if (IsBehindWrite(session, reader, key.ref)) return std::nullopt;
  session.Count(ReadResult::kHit);
  return found;
}

KeyRead Lacking(Session& session, ReadQuestion::Kind kind, const KeyRef& ref) {
  session.lacks().timeout = session.need().timeout;
  session.lacks().Add(kind, ref.dataset, ref.key);
  return {};
}

KeyRead ReadKey(Session& session, const Reader& reader, std::string_view client_key,
                bool name_key) {
  std::string error;
  const auto ref = SplitKey(client_key, error);
  if (!ref) {
    return Failed(session, ReadResult::kError, std::move(error), client_key, name_key);
  }
  if (session.plain()) return LookUp(session, reader, *ref, client_key, name_key);
  if (const RemoteRead* got = session.Got(client_key)) {
    if (auto old = TooOld(session, *got, *ref, client_key, name_key)) return *std::move(old);
    return FromRemote(session, *got, client_key);
  }
  return Weigh(session, reader, *ref, client_key, name_key);
}

}  // namespace agent

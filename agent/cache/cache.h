// Cache: the agent's local copies in one LMDB environment. Writer applies what the control plane
// sends; Readers serve it.
//
// Thread: Cache is opened and closed by the app; its Writer belongs to the sync thread, each Reader
// to one loop thread.  Lifetime: the Cache outlives its Writer and Readers.
// A copy is one collection (dataset, or dataset and key prefix). Its entries live in a generation,
// a sub-database of its own: first loads and reloads fill a new one, which is swapped in by the
// same transaction that stores the cursor; the old one serves until then. Format: layout.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cache/change_listener.h"
#include "agent/cache/counter.h"
#include "agent/cache/place.h"
#include "common/buckets.h"
#include "common/digest.h"
#include "common/entry.h"
#include "common/lmdb.h"
#include "common/names.h"
#include "common/status.h"
#include "common/version.h"

namespace agent {

struct CacheOptions {
  std::string dir;                      // --data-dir
  std::string service;                  // a directory of another service is refused
  std::size_t map_bytes = 64ULL << 30;  // --max-map-size: a bound on the file, not memory
  std::string boot_id_path = "/proc/sys/kernel/random/boot_id";  // tests pass their own
};

// Why a copy has nothing to serve, as the control plane said last; durable.
enum class Denial { kNone, kNoDataset, kNoPermission };

struct CopyState {
  common::Collection collection;
  bool complete = false;   // a generation can be read
  bool loading = false;    // another generation is being filled
  bool repairing = false;  // … by BeginRepair
  bool by_name = false;    // holds single keys only, see Writer::Add
  Denial denial = Denial::kNone;
  common::Version cursor;                     // of the readable generation
  std::optional<common::Cursor> load_cursor;  // how far the load has come
  std::uint64_t entries = 0;                  // of the readable generation
  std::uint64_t bytes = 0;                    // keys + values
  common::Digest digest;
};

// Of a version as a foreign server writes it; a longer one is not kept.
inline constexpr std::size_t kVersionTextBytesMax = 255;

struct Change {
  std::string_view key;
  common::Version version;
  std::optional<common::EntryView> entry;  // absent: removal
  // The version as the server wrote it, if it is not one of ours: sent back at the next connect.
  std::string_view version_text = {};
  // Only what is stored now gets the expiry of `entry`, if it still has this version.
  bool renews = false;
  // Only in copies by name: that there is no such key is held.
  bool absent = false;
  // Nobody is to be told: what a client can see does not change.
  bool quiet = false;
};

// What is known of a stored entry without its value.
struct EntryVersion {
  common::Version version;
  std::string text;  // as the server wrote it; empty: FormatVersion(version)
  std::int64_t expires_at_ms = 0;
  std::size_t bytes = 0;  // key and value
  bool absent = false;    // it is held that there is no such entry
};

// A stored entry with its value.
struct EntryCopy {
  EntryVersion version;
  std::string value;
  std::string content_type;
  std::int64_t published_at_ms = 0;
};

class AccessSketch;
class Cache;

// What the sync thread may do. Every call is one transaction: on failure nothing of it is stored,
// and the caller may try again. NOT_FOUND: no such copy. INVALID_ARGUMENT: a change is outside its
// collection or beyond a limit. RESOURCE_EXHAUSTED: disk or map full. DATA_LOSS: the copy is
// broken; load it again.
class Writer {
 public:
  std::vector<CopyState> Copies() const;  // ordered by collection

  // Makes an empty, incomplete copy; nothing happens if it is there. `by_name`: one that is
  // readable at once, but knows only the keys, and absences of keys, that are applied to it
  // (Coverage::kNotHeld for all others). FAILED_PRECONDITION: it is there and of the other kind.
  common::Status Add(const common::Collection& collection, bool by_name = false);
  // Erases a copy. Its bytes stay in the file until FinishErasure.
  common::Status Remove(const common::Collection& collection);
  // Erases the entries and remembers why; kNone: makes it an empty, incomplete copy again.
  common::Status Deny(const common::Collection& collection, Denial denial);

  // True, also after a restart: what was erased by Remove or Deny may still lie in the file.
  bool erasure_pending() const;
  // Writes the file anew without it; what is kept is copied once, and readers move on by
  // themselves. RESOURCE_EXHAUSTED: no room for both files; nothing has changed.
  common::Status FinishErasure();

  // What the readable generation holds, by buckets. FAILED_PRECONDITION: there is none.
  common::StatusOr<common::BucketDigests> Buckets(const common::Collection& collection,
                                                  std::size_t count) const;
  // Starts a new generation as BeginLoad does, with all entries of the readable one whose buckets
  // are not in `resent`. It cannot be continued after an interruption: DropLoad.
  common::Status BeginRepair(const common::Collection& collection, const common::Version& at,
                             const common::BucketSet& resent);
  // Ends the filling of a generation; the readable one stays.
  common::Status DropLoad(const common::Collection& collection);
  // Starts filling a new generation at `at`; an unfinished one and what was staged are dropped. A
  // denial is lifted.
  common::Status BeginLoad(const common::Collection& collection, const common::Version& at);
  // Adds to the generation being filled (fast when keys arrive in order); the load can resume
  // behind the greatest key so far. FAILED_PRECONDITION: no load was begun.
  common::Status Load(const common::Collection& collection, std::span<const Change> changes);
  // Keeps part of a cut durable, but invisible, so that cuts of any size need bounded memory.
  common::Status Stage(const common::Collection& collection, std::span<const Change> changes);
  // Makes one consistent cut visible: what was staged, then `changes`, then the cursor. If a
  // generation is being filled, they go there and it is swapped in. FAILED_PRECONDITION: there is
  // no generation; begin a load.
  common::Status Apply(const common::Collection& collection, std::span<const Change> changes,
                       const common::Version& cursor);
  // Takes entries of the readable generation over into the one being filled, as far as they are
  // there and the other does not have the key.
  common::Status Keep(const common::Collection& collection, std::span<const std::string> keys);
  // Forgets staged changes of a cut that will not be finished (stream lost). What an earlier
  // process has staged is forgotten by itself.
  common::Status DropStaged(const common::Collection& collection);

  // Of the readable generation: one entry, absent if it is not there, or all in key order until
  // `visit` returns false. DATA_LOSS: a record is malformed.
  common::StatusOr<std::optional<EntryVersion>> Find(const common::Collection& collection,
                                                     std::string_view key) const;
  // As Find, with the value. DATA_LOSS: it does not match its checksum.
  common::StatusOr<std::optional<EntryCopy>> Read(const common::Collection& collection,
                                                  std::string_view key) const;
  using VisitVersion = std::function<bool(std::string_view key, const EntryVersion& version)>;
  common::Status EachVersion(const common::Collection& collection, const VisitVersion& visit) const;

  // How the keys of copies by name are used.
  AccessSketch& sketch() const;

  // Small durable values of the sync thread (the last known subscriptions, the foreign-server
  // mode); empty: absent.
  common::StatusOr<std::string> GetMeta(std::string_view name) const;
  common::Status SetMeta(std::string_view name, std::string_view value);

  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

 private:
  friend class Cache;
  struct Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// An entry as read; views are valid until the Reader's next Get, LookUp, Refresh or Release.
struct Found {
  common::EntryView entry;
  common::Version version;
};

// The answer for a key or dataset that is not simply there or absent.
enum class Coverage {
  kReadable,       // look inside
  kNotSubscribed,  // no copy covers it
  kLoading,        // the copy is not complete yet
  kNoDataset,      // the control plane says that there is none
  kNoPermission,   // this service is not among its consumers
  kFaulted,        // a checksum failed; the copy is being replaced
  kNotHeld,        // an on-demand copy covers the key, but does not hold it (yet)
};

inline constexpr std::size_t kPrefetchedKeysMax = 64;  // at a time

// A key as clients name it, taken apart.
struct KeyRef {
  std::string_view dataset;
  std::string_view key;
};

// A key and where it lies, made by Reader::Prefetch; for that snapshot, while the key's bytes are.
struct PrefetchedKey {
  KeyRef ref = {};
  Place place = {};       // without a record: not known
  std::uint64_t use = 0;  // of AccessSketch, what a read counts for; 0: for nothing
};

// What the local copies say of one key.
struct LocalAnswer {
  Coverage coverage = Coverage::kReadable;
  std::optional<Found> found = {};  // only if kReadable; absent: no such key
};

// What a reader's index (place_index.h) has done; any thread may read it.
struct IndexStats {
  Counter hits;     // entries found by it
  Counter moved;    // places at which something else lay
  Counter learned;  // places taken in, after a walk down the B+tree
  Counter bytes;    // memory that it takes now
};

// A loop thread's view. One read transaction, renewed once per loop turn, so that everything read
// between Refresh and Release is one snapshot of all copies.  REQUIRES: everything but Refresh and
// Release is called between the two.
class Reader {
 public:
  common::Status Refresh();  // takes the newest snapshot; cheap
  void Release();            // lets go of it; nothing may be read until Refresh
  // Whether no commit has followed the snapshot; false also now and then when none has. True: no
  // other reader has seen a newer one yet. REQUIRES: a snapshot is taken.
  bool IsNewest() const;

  // Counts as a use of the key in a copy by name. DATA_LOSS: the entry does not match its checksum;
  // it is reported to the sync thread and must not be served.
  common::StatusOr<LocalAnswer> LookUp(const KeyRef& ref) const;
  Coverage CoverageOf(std::string_view dataset, std::string_view key) const;
  // As LookUp, but no use. Absent: no such key. FAILED_PRECONDITION: CoverageOf is not kReadable.
  common::StatusOr<std::optional<Found>> Get(std::string_view dataset, std::string_view key) const;

  // Finds out what the index knows of keys that will be read next, kPrefetchedKeysMax at most, and
  // fetches it all together, so that waits for memory overlap. REQUIRES: `out` is as long.
  void Prefetch(std::span<const KeyRef> keys, std::span<PrefetchedKey> out) const;
  // LookUp of such a key, if the index is enough for it. Absent: it is not; ask LookUp.
  std::optional<Found> LookUpPrefetched(const PrefetchedKey& key) const;

  // Up to where the answer for the key holds every change that the dataset has seen: the cursor of
  // its copy, in a copy by name the entry's version if that is later. Absent: CoverageOf is not
  // kReadable.
  std::optional<common::Version> ReachOf(std::string_view dataset, std::string_view key) const;

  // Visits keys of one dataset that begin with `prefix` and sort after `after`, in order; false
  // from `visit` stops. Copies of disjoint prefixes are joined. kReadable parts only. DATA_LOSS as
  // for Get, after the keys before the broken one were visited.
  using Visit = std::function<bool(std::string_view key, const Found& found)>;
  common::Status Scan(std::string_view dataset, std::string_view prefix, std::string_view after,
                      const Visit& visit) const;
  std::vector<std::string> Datasets() const;  // that have a copy, in order
  std::vector<CopyState> Copies() const;
  const IndexStats& index_stats() const;

  // Whether the index has room for entries that it does not know. May be called without a snapshot.
  bool WantsFill() const;
  // Takes the next entries into the index, in key order, so that first reads are fast, too: for
  // idle moments. False: all is in it or it is full, or not now (try again in a later snapshot).
  bool FillIndex(std::size_t entries_max);

  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

 private:
  friend class Cache;
  struct Impl;
  explicit Reader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

class Cache {
 public:
  // FAILED_PRECONDITION: the directory is in use, of another service, or of a newer format; the
  // message says what to do. A directory left by a host crash is emptied and loaded again.
  static common::StatusOr<std::unique_ptr<Cache>> Open(const CacheOptions& options);
  ~Cache();  // flushes and marks the directory clean
  Cache(const Cache&) = delete;
  Cache& operator=(const Cache&) = delete;

  // Why Open has deleted what was there (worth a warning in the log); empty: it has not.
  const std::string& emptied_because() const;
  // Once. `listener` outlives the writer.
  std::unique_ptr<Writer> MakeWriter(ChangeListener& listener);
  // `index_bytes`: memory at most for an index in front of the B+tree; 0: none.
  common::StatusOr<std::unique_ptr<Reader>> MakeReader(std::size_t index_bytes = 0);
  // Called from any thread by whoever found the first broken entry of a generation; must not block,
  // and must stay callable as long as a Reader or the Writer runs.
  void SetFaultHandler(std::function<void(const common::Collection&)> handler);
  // Reads everything: every entry matches its checksum, every copy its count, bytes and digest, no
  // slot is used twice, free slots and staging hold nothing that nobody owns. DATA_LOSS says what
  // is wrong. Slow, any thread, no Writer call meanwhile.
  common::Status Check() const;
  std::size_t bytes_used() const;

 private:
  struct Impl;
  explicit Cache(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace agent

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <vector>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/resp_errors.h"
#include "agent/server/session.h"
#include "common/limits.h"
#include "common/names.h"

namespace agent::commands {
namespace {

// The part of the key space that a glob can match: all datasets, or keys of one by prefix.
struct Range {
  std::string dataset = {};  // empty: all datasets that begin with `dataset_prefix`
  std::string dataset_prefix = {};
  std::string key_prefix = {};
};

Range RangeOf(std::string_view pattern) {
  const std::string literal = common::GlobLiteralPrefix(pattern);
  const std::size_t slash = literal.find('/');
  if (slash == std::string::npos) return {.dataset_prefix = literal};
  return {.dataset = literal.substr(0, slash), .key_prefix = literal.substr(slash + 1)};
}

bool Overlap(std::string_view a, std::string_view b) {
  const std::size_t size = std::min(a.size(), b.size());
  return a.substr(0, size) == b.substr(0, size);
}

// Whether keys of `dataset` that begin with `prefix` can all be listed, as far as subscribed.
Coverage RangeCoverage(const std::vector<CopyState>& copies, std::string_view dataset,
                       std::string_view prefix) {
  Coverage worst = Coverage::kNotSubscribed;
  for (const CopyState& copy : copies) {
    if (copy.collection.dataset != dataset || !Overlap(copy.collection.prefix, prefix)) continue;
    if (copy.denial == Denial::kNoDataset) return Coverage::kNoDataset;
    if (copy.denial == Denial::kNoPermission) return Coverage::kNoPermission;
    if (!copy.complete) return Coverage::kLoading;
    worst = Coverage::kReadable;
  }
  return worst;
}

// Why keys that are here cannot be told from those of the dataset; `named`: the client asked for
// this dataset.
std::optional<std::string> ListError(Session& session, std::string_view dataset,
                                     std::string_view prefix, bool named) {
  const common::MonotonicTime now = session.services().clock.Now();
  for (const CopyStatus& copy : session.services().snapshot.status().copies) {
    if (copy.collection.dataset != dataset || !Overlap(copy.collection.prefix, prefix)) continue;
    const Verdict verdict = Judge(&copy, session.need(), now);
    if (verdict.path == ReadPath::kStale) return StaleError(dataset, verdict.age, verdict.bound);
    const bool whole = copy.mode == common::Mode::kReplicate && verdict.path == ReadPath::kLocal;
    if (whole || (!named && copy.mode != common::Mode::kReplicate)) continue;
    return fmt::format(
        "ERR the keys of dataset {} cannot be listed here: {}; tributaryctl scan lists them",
        dataset,
        copy.mode == common::Mode::kOnDemand ? "only those that were read are local"
                                             : "it is read through the control plane");
  }
  return std::nullopt;
}

struct ScanOptions {
  ScanPosition from;
  std::string_view pattern = "*";
  std::size_t count = 10;
  bool strings = true;  // false: TYPE of which there is none
};

std::optional<std::string_view> ParseOptions(Session& session, Args args, ScanOptions& options) {
  const auto cursor = ParseInteger<std::uint64_t>(args[1]);
  if (!cursor) return "ERR invalid cursor";
  if (*cursor != 0) {
    const auto position = session.services().shared.cursors.Find(*cursor);
    if (!position) return "ERR invalid cursor: not known, or forgotten; begin again with 0";
    options.from = *position;
  }
  for (std::size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return kSyntaxError;
    if (EqualsIgnoringCase(args[i], "MATCH")) {
      options.pattern = args[i + 1];
    } else if (EqualsIgnoringCase(args[i], "COUNT")) {
      const auto count = ParseInteger(args[i + 1]);
      if (!count) return kNotAnIntegerError;
      if (*count < 1) return kSyntaxError;
      options.count = std::min(static_cast<std::size_t>(*count), common::kScanCountMax);
    } else if (EqualsIgnoringCase(args[i], "TYPE")) {
      options.strings = EqualsIgnoringCase(args[i + 1], "string");
    } else {
      return kSyntaxError;
    }
  }
  return std::nullopt;
}

// One SCAN call: walks datasets in order from a position, visiting at most `count` keys.
class Walk {
 public:
  Walk(Session& session, const Reader& reader, const ScanOptions& options)
      : session_(session), reader_(reader), options_(options), range_(RangeOf(options.pattern)) {}

  // Fills keys() and next(); an error reply if the walk stands before what cannot be read.
  std::optional<std::string> Run() {
    copies_ = reader_.Copies();
    if (!range_.dataset.empty()) return VisitDataset(range_.dataset, /*named=*/true);
    for (const std::string& dataset : reader_.Datasets()) {
      if (!dataset.starts_with(range_.dataset_prefix) || dataset < options_.from.dataset) continue;
      if (auto error = VisitDataset(dataset, /*named=*/false)) return error;
      if (next_) break;
    }
    return std::nullopt;
  }

  const std::vector<std::string>& keys() const { return keys_; }
  const std::optional<ScanPosition>& next() const { return next_; }

 private:
  std::optional<std::string> VisitDataset(const std::string& dataset, bool named) {
    if (auto error = ListError(session_, dataset, range_.key_prefix, named)) return error;
    const Coverage coverage = RangeCoverage(copies_, dataset, range_.key_prefix);
    const bool blocked = coverage == Coverage::kLoading;
    if (blocked && visited_ > 0) {  // hand out what there is; the next call meets the obstacle
      next_ = ScanPosition{dataset, {}};
      return std::nullopt;
    }
    if (blocked || (named && coverage != Coverage::kReadable)) {
      return CoverageError(coverage, dataset, range_.key_prefix,
                           session_.services().identity.service);
    }
    if (coverage != Coverage::kReadable) return std::nullopt;
    const bool resumes = dataset == options_.from.dataset;
    const auto status = reader_.Scan(
        dataset, range_.key_prefix, resumes ? std::string_view(options_.from.key) : "",
        [&](std::string_view key, const Found& found) { return VisitKey(dataset, key, found); });
    if (!status.ok()) return ReadError(status, dataset);
    return std::nullopt;
  }

  bool VisitKey(const std::string& dataset, std::string_view key, const Found& found) {
    if (visited_ == options_.count) {
      next_ = last_;
      return false;
    }
    ++visited_;
    last_.dataset = dataset;
    last_.key.assign(key);
    if (session_.Expired(found.entry.expires_at_ms)) return true;
    std::string name = fmt::format("{}/{}", dataset, key);
    if (common::GlobMatch(options_.pattern, name)) keys_.push_back(std::move(name));
    return true;
  }

  Session& session_;
  const Reader& reader_;
  const ScanOptions& options_;
  const Range range_;
  std::vector<CopyState> copies_;
  std::vector<std::string> keys_;
  ScanPosition last_;  // visited last
  std::optional<ScanPosition> next_;
  std::size_t visited_ = 0;
};

void ReplyBulks(RespWriter& reply, const std::vector<std::string>& items) {
  reply.Array(items.size());
  for (const std::string& item : items) reply.Bulk(item);
}

// The first key of `dataset` after `after`; empty if there is none.
std::string KeyAfter(const Session& session, const Reader& reader, const std::string& dataset,
                     std::string_view after) {
  std::string first;
  const auto status =
      reader.Scan(dataset, "", after, [&](std::string_view key, const Found& found) {
        if (session.Expired(found.entry.expires_at_ms)) return true;
        first.assign(key);
        return false;
      });
  return status.ok() ? first : std::string();
}

// Some key, by jumping to where a key with a changed ending would stand, a few times over.
std::string SomeKey(Session& session, const Reader& reader, const std::string& dataset) {
  constexpr int kJumps = 12;
  std::mt19937_64& random = session.services().random;
  std::string key = KeyAfter(session, reader, dataset, "");
  for (int i = 0; i < kJumps && !key.empty(); ++i) {
    std::string target = key.substr(0, random() % (key.size() + 1));
    target.push_back(static_cast<char>(' ' + random() % 95));
    std::string next = KeyAfter(session, reader, dataset, target);
    if (!next.empty()) key = std::move(next);
  }
  return key;
}

}  // namespace

void Scan(Session& session, Args args) {
  ScanOptions options;
  if (const auto error = ParseOptions(session, args, options)) {
    return session.reply().Error(*error);
  }
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  RespWriter reply = session.reply();
  Walk walk(session, *reader, options);
  if (options.strings) {
    if (const auto error = walk.Run()) return reply.Error(*error);
  }
  const std::uint64_t cursor =
      walk.next() ? session.services().shared.cursors.IdFor(*walk.next()) : 0;
  reply.Array(2);
  reply.Bulk(fmt::format("{}", cursor));
  ReplyBulks(reply, walk.keys());
}

void Keys(Session& session, Args args) {
  RespWriter reply = session.reply();
  if (common::GlobLiteralPrefix(args[1]).find('/') == std::string::npos) {
    return reply.Error("ERR KEYS needs one dataset: <dataset>/<pattern>; SCAN walks all of them");
  }
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  const ScanOptions options{.from = {}, .pattern = args[1], .count = common::kKeysReplyMax};
  Walk walk(session, *reader, options);
  if (const auto error = walk.Run()) return reply.Error(*error);
  if (walk.next()) {
    return reply.Error(
        fmt::format("TOOBIG more than {} keys to look at; use SCAN", common::kKeysReplyMax));
  }
  ReplyBulks(reply, walk.keys());
}

void DbSize(Session& session, Args) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  std::uint64_t entries = 0;
  for (const CopyState& copy : reader->Copies()) {
    if (copy.complete) entries += copy.entries;
  }
  session.reply().Integer(static_cast<std::int64_t>(entries));
}

void RandomKey(Session& session, Args) {
  const Reader* reader = session.Read();
  if (reader == nullptr) return;
  std::vector<CopyState> copies = reader->Copies();
  std::erase_if(copies, [](const CopyState& copy) { return !copy.complete || copy.entries == 0; });
  const auto entries =
      std::accumulate(copies.begin(), copies.end(), std::uint64_t{0},
                      [](std::uint64_t sum, const CopyState& copy) { return sum + copy.entries; });
  if (entries == 0) return session.reply().Null();
  std::uint64_t pick = session.services().random() % entries;
  std::size_t first = 0;
  while (pick >= copies[first].entries) pick -= copies[first++].entries;
  for (std::size_t i = 0; i < copies.size(); ++i) {  // all entries of a copy may have expired
    const std::string& dataset = copies[(first + i) % copies.size()].collection.dataset;
    const std::string key = SomeKey(session, *reader, dataset);
    if (!key.empty()) return session.reply().Bulk(fmt::format("{}/{}", dataset, key));
  }
  session.reply().Null();
}

}  // namespace agent::commands

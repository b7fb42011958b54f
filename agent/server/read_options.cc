#include "agent/server/read_options.h"

#include <fmt/format.h>

#include "agent/server/arguments.h"
#include "common/limits.h"
#include "common/read_limits.h"

namespace agent {
namespace {

using common::ConsistencyLevel;
using std::chrono::milliseconds;

constexpr std::size_t kShown = 64;  // of a bad argument, in the error

// Reads the options one after the other.
class OptionReader {
 public:
  OptionReader(Args options, ReadNeed& need) : options_(options), need_(need) {}

  std::optional<std::string> Run() {
    while (at_ < options_.size()) {
      if (auto error = ReadOne(options_[at_++])) return error;
    }
    if (strong_ && (bound_ || need_.min_rev)) {
      return fmt::format(
          "ERR STRONG cannot be combined with {}: a strong read is at least as fresh",
          bound_ ? "MAXSTALE" : "MINREV");
    }
    return std::nullopt;
  }

 private:
  std::optional<std::string> ReadOne(std::string_view name) {
    if (EqualsIgnoringCase(name, "STRONG")) return ReadStrong();
    if (EqualsIgnoringCase(name, "WITHMETA")) {
      need_.meta = true;
      return std::nullopt;
    }
    if (EqualsIgnoringCase(name, "MAXSTALE")) return ReadMaxStale();
    if (EqualsIgnoringCase(name, "MINREV")) return ReadMinRev();
    if (EqualsIgnoringCase(name, "TIMEOUT")) return ReadTimeout();
    return std::string(kSyntaxError);
  }

  std::optional<std::string> ReadStrong() {
    strong_ = true;
    need_.level = ConsistencyLevel::kStrong;
    return std::nullopt;
  }

  std::optional<std::string> ReadMaxStale() {
    if (bound_) return Twice("MAXSTALE");
    bound_ = true;
    if (at_ == options_.size()) return std::string(kSyntaxError);
    need_.level = ConsistencyLevel::kBounded;
    return ParseMillis("MAXSTALE", options_[at_++], milliseconds(0), common::kMaxStalenessMax,
                       need_.bound);
  }

  std::optional<std::string> ReadMinRev() {
    if (need_.min_rev) return Twice("MINREV");
    if (at_ == options_.size()) return std::string(kSyntaxError);
    return ParseTokenArgument("MINREV", options_[at_++], need_.min_rev.emplace());
  }

  std::optional<std::string> ReadTimeout() {
    if (timeout_) return Twice("TIMEOUT");
    timeout_ = true;
    if (at_ == options_.size()) return std::string(kSyntaxError);
    return ParseMillis("TIMEOUT", options_[at_++], milliseconds(1), common::kReadTimeoutMax,
                       need_.timeout);
  }

  static std::string Twice(std::string_view name) {
    return fmt::format("ERR option {} is given twice", name);
  }

  const Args options_;
  ReadNeed& need_;
  std::size_t at_ = 0;
  bool strong_ = false;
  bool bound_ = false;
  bool timeout_ = false;
};

}  // namespace

std::optional<std::string> ParseMillis(std::string_view what, std::string_view text,
                                       milliseconds min, milliseconds max, milliseconds& out) {
  const auto value = ParseInteger(text);
  if (value && *value >= min.count() && *value <= max.count()) {
    out = milliseconds(*value);
    return std::nullopt;
  }
  return fmt::format("ERR {} must be a number of milliseconds from {} to {}, not '{}'", what,
                     min.count(), max.count(), text.substr(0, kShown));
}

std::optional<std::string> ParseTokenArgument(std::string_view what, std::string_view text,
                                              Token& out) {
  const auto token = ParseToken(text);
  if (!token) {
    return fmt::format(
        "ERR {} must be a revision, or a token as TRIB.LASTREV gives it (<epoch>.<revision>), "
        "not '{}'",
        what, text.substr(0, kShown));
  }
  out = *token;
  return std::nullopt;
}

std::optional<std::string> ParseReadOptions(Args options, ReadNeed& need) {
  return OptionReader(options, need).Run();
}

std::optional<std::string> ParseConsistency(Args args, ReadNeed& need) {
  if (args.empty()) return std::string(kSyntaxError);
  ReadNeed parsed;
  const std::string_view level = args[0];
  if (EqualsIgnoringCase(level, "BOUNDED")) {
    if (args.size() != 2) return std::string("ERR BOUNDED needs a number of milliseconds");
    parsed.level = ConsistencyLevel::kBounded;
    if (auto error = ParseMillis("BOUNDED", args[1], milliseconds(0), common::kMaxStalenessMax,
                                 parsed.bound)) {
      return error;
    }
  } else if (args.size() != 1) {
    return std::string(kSyntaxError);
  } else if (EqualsIgnoringCase(level, "EVENTUAL")) {
    parsed.level = ConsistencyLevel::kEventual;
  } else if (EqualsIgnoringCase(level, "STRONG")) {
    parsed.level = ConsistencyLevel::kStrong;
  } else if (!EqualsIgnoringCase(level, "DEFAULT")) {
    return fmt::format("ERR unknown consistency '{}'; EVENTUAL, BOUNDED <ms>, STRONG or DEFAULT",
                       level.substr(0, kShown));
  }
  need = parsed;
  return std::nullopt;
}

}  // namespace agent

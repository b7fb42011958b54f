// Log: events with key=value fields on stderr, as text or as one JSON object a line.
//
// Thread: any.  Lifetime: outlives everything that logs.
//   log.Info("listening", {{"address", address}, {"streams_max", 20'000}});
// An event is a short phrase in lower case; keys are snake_case with the unit last. Not for inner
// loops: repeated warnings go through a LogLimiter.
#pragma once

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/clock.h"
#include "common/status.h"

namespace spdlog {
class logger;
}

namespace common {

enum class LogLevel { kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat { kText, kJson };

// "debug" | "info" | "warn" | "error" | "off"; "text" | "json". INVALID_ARGUMENT lists them.
StatusOr<LogLevel> ParseLogLevel(std::string_view name);
StatusOr<LogFormat> ParseLogFormat(std::string_view name);
std::string_view LogLevelName(LogLevel level);
std::vector<std::string> LogLevelNames();
std::vector<std::string> LogFormatNames();

// One field; views what it is given, for the length of the call.
class LogField {
 public:
  LogField(std::string_view key, std::string_view value) : key_(key), value_(value) {}
  LogField(std::string_view key, const std::string& value)
      : key_(key), value_(std::string_view(value)) {}
  LogField(std::string_view key, const char* value) : key_(key), value_(std::string_view(value)) {}
  LogField(std::string_view key, bool value) : key_(key), value_(value) {}
  LogField(std::string_view key, double value) : key_(key), value_(value) {}
  template <std::signed_integral T>
  LogField(std::string_view key, T value) : key_(key), value_(std::int64_t{value}) {}
  template <std::unsigned_integral T>
  requires(!std::same_as<T, bool>) LogField(std::string_view key, T value)
      : key_(key), value_(std::uint64_t{value}) {}
  LogField(std::string_view key, const Status& value) : key_(key), value_(Message(value)) {}

  std::string_view key() const { return key_; }
  const auto& value() const { return value_; }

 private:
  std::string_view key_;
  std::variant<std::string_view, bool, double, std::int64_t, std::uint64_t> value_;
};
using LogFields = std::initializer_list<LogField>;

// Lets one event through per interval and counts the others. One per kind of warning.
// Thread: any.
class LogLimiter {
 public:
  explicit LogLimiter(const Clock& clock,
                      std::chrono::milliseconds interval = std::chrono::seconds(10))
      : clock_(clock), interval_(interval) {}
  // Present: log now; the value is how many were held back since the last one.
  std::optional<std::uint64_t> Admit();

 private:
  const Clock& clock_;
  const std::chrono::milliseconds interval_;
  std::atomic<std::int64_t> next_{INT64_MIN};  // of the monotonic clock, nanoseconds
  std::atomic<std::uint64_t> held_back_{0};
};

class Log {
 public:
  // To stderr.
  Log(LogLevel level, LogFormat format);
  // Each line, without its end, goes to `write` (tests).
  Log(LogLevel level, LogFormat format, std::function<void(std::string_view)> write);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void Debug(std::string_view event, LogFields fields = {}) {
    Write(LogLevel::kDebug, event, fields);
  }
  void Info(std::string_view event, LogFields fields = {}) {
    Write(LogLevel::kInfo, event, fields);
  }
  void Warn(std::string_view event, LogFields fields = {}) {
    Write(LogLevel::kWarn, event, fields);
  }
  void Error(std::string_view event, LogFields fields = {}) {
    Write(LogLevel::kError, event, fields);
  }
  // Adds held_back=N when the limiter has kept some from being written.
  void Warn(LogLimiter& limiter, std::string_view event, LogFields fields = {});

  LogLevel level() const { return level_.load(std::memory_order_relaxed); }
  void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

 private:
  void Write(LogLevel level, std::string_view event, LogFields fields, std::uint64_t held_back = 0);

  std::atomic<LogLevel> level_;
  const LogFormat format_;
  std::unique_ptr<spdlog::logger> logger_;
};

}  // namespace common

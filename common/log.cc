#include "common/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <nlohmann/json.hpp>

namespace common {
namespace {

constexpr std::array<std::string_view, 5> kLevels{"debug", "info", "warn", "error", "off"};
constexpr std::array<std::string_view, 2> kFormats{"text", "json"};

template <std::size_t N>
StatusOr<std::size_t> IndexOf(const std::array<std::string_view, N>& names, std::string_view name) {
  const auto* found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) {
    return InvalidArgument("\"{}\" is not one of {}", name, fmt::join(names, ", "));
  }
  return static_cast<std::size_t>(found - names.begin());
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      break;
  }
  return spdlog::level::off;
}

// spdlog brings the time and the lock around the sink; the rest of the line is "%v".
std::unique_ptr<spdlog::formatter> MakeFormatter(LogFormat format) {
  const char* pattern = format == LogFormat::kJson ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v})"
                                                   : "%Y-%m-%dT%H:%M:%S.%eZ %v";
  return std::make_unique<spdlog::pattern_formatter>(pattern, spdlog::pattern_time_type::utc, "\n");
}

class FunctionSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit FunctionSink(std::function<void(std::string_view)> write) : write_(std::move(write)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    write_(std::string_view(line.data(), line.size() - 1));
  }
  void flush_() override {}
  const std::function<void(std::string_view)> write_;
};

std::unique_ptr<spdlog::logger> MakeLogger(spdlog::sink_ptr sink, LogFormat format) {
  auto logger = std::make_unique<spdlog::logger>("", std::move(sink));
  logger->set_formatter(MakeFormatter(format));
  logger->set_level(spdlog::level::trace);  // Log filters
  logger->flush_on(spdlog::level::trace);
  return logger;
}

std::string Quote(std::string_view text) {
  using nlohmann::json;
  return json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
}

// Text is quoted where a reader could not tell where it ends.
bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
}

std::string ValueText(const LogField& field, LogFormat format) {
  if (const auto* text = std::get_if<std::string_view>(&field.value())) {
    return format == LogFormat::kText && IsPlain(*text) ? std::string(*text) : Quote(*text);
  }
  if (const auto* truth = std::get_if<bool>(&field.value())) return *truth ? "true" : "false";
  if (const auto* real = std::get_if<double>(&field.value())) return nlohmann::json(*real).dump();
  if (const auto* number = std::get_if<std::int64_t>(&field.value())) {
    return fmt::format("{}", *number);
  }
  return fmt::format("{}", std::get<std::uint64_t>(field.value()));
}

void AppendField(const LogField& field, LogFormat format, std::string& line) {
  if (format == LogFormat::kJson) {
    line += fmt::format(",{}:{}", Quote(field.key()), ValueText(field, format));
  } else {
    line += fmt::format(" {}={}", field.key(), ValueText(field, format));
  }
}

}  // namespace

StatusOr<LogLevel> ParseLogLevel(std::string_view name) {
  ASSIGN_OR_RETURN(const std::size_t index, IndexOf(kLevels, name));
  return static_cast<LogLevel>(index);
}

StatusOr<LogFormat> ParseLogFormat(std::string_view name) {
  ASSIGN_OR_RETURN(const std::size_t index, IndexOf(kFormats, name));
  return static_cast<LogFormat>(index);
}

std::string_view LogLevelName(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }
std::vector<std::string> LogLevelNames() { return {kLevels.begin(), kLevels.end()}; }
std::vector<std::string> LogFormatNames() { return {kFormats.begin(), kFormats.end()}; }

std::optional<std::uint64_t> LogLimiter::Admit() {
  const std::int64_t now = clock_.Now().time_since_epoch().count();
  const std::int64_t interval = std::chrono::nanoseconds(interval_).count();
  std::int64_t next = next_.load();
  if (now < next || !next_.compare_exchange_strong(next, now + interval)) {
    ++held_back_;
    return std::nullopt;
  }
  return held_back_.exchange(0);
}

Log::Log(LogLevel level, LogFormat format)
    : level_(level),
      format_(format),
      logger_(MakeLogger(std::make_shared<spdlog::sinks::stderr_sink_mt>(), format)) {}

Log::Log(LogLevel level, LogFormat format, std::function<void(std::string_view)> write)
    : level_(level),
      format_(format),
      logger_(MakeLogger(std::make_shared<FunctionSink>(std::move(write)), format)) {}

Log::~Log() = default;

void Log::Warn(LogLimiter& limiter, std::string_view event, LogFields fields) {
  if (level() > LogLevel::kWarn) return;
  if (const auto held_back = limiter.Admit()) Write(LogLevel::kWarn, event, fields, *held_back);
}

void Log::Write(LogLevel level, std::string_view event, LogFields fields, std::uint64_t held_back) {
  if (level < this->level()) return;
  std::string line =
      format_ == LogFormat::kJson
          ? fmt::format(R"("level":"{}","event":{})", LogLevelName(level), Quote(event))
          : fmt::format("{:<5} {}", LogLevelName(level), event);
  for (const LogField& field : fields) AppendField(field, format_, line);
  if (held_back > 0) AppendField({"held_back", held_back}, format_, line);
  logger_->log(ToSpdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace common

#include "control-plane/webhook/annotations.h"

#include <array>
#include <functional>
#include <limits>
#include <utility>

#include "common/admin_server.h"
#include "common/declarations.h"
#include "common/log.h"
#include "common/names.h"
#include "common/suggest.h"
#include "common/units.h"

namespace cp {
namespace {

using common::InvalidArgument;
using common::OkStatus;
using common::Status;

constexpr std::size_t kListMax = 256;

std::vector<std::string> SplitList(std::string_view text) {
  std::vector<std::string> parts;
  constexpr std::string_view kSeparators = ", \t\r\n";
  for (std::size_t at = text.find_first_not_of(kSeparators); at != std::string_view::npos;) {
    const std::size_t end = std::min(text.find_first_of(kSeparators, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSeparators, end);
  }
  return parts;
}

Status ReadService(std::string_view text, PodWishes& wishes) {
  wishes.service = text;
  return common::ValidateServiceName(text);
}

Status ReadSubscribe(std::string_view text, PodWishes& wishes) {
  wishes.subscribe = SplitList(text);
  if (wishes.subscribe.size() > kListMax) return InvalidArgument("more than {} items", kListMax);
  for (const std::string& item : wishes.subscribe) {
    RETURN_IF_ERROR(common::ParseSubscribeFlag(item).status());
  }
  return OkStatus();
}

Status ReadImage(std::string_view text, PodWishes& wishes) {
  wishes.image = text;
  if (!text.empty() && text.find_first_of(" \t\r\n") == std::string_view::npos) return OkStatus();
  return InvalidArgument("'{}' is not an image; write e.g. registry.example/tributary/agent:0.1.0",
                         text);
}

template <std::string PodWishes::*member>
Status ReadCpu(std::string_view text, PodWishes& wishes) {
  wishes.*member = text;
  return CheckCpuQuantity(text);
}

template <std::string PodWishes::*member>
Status ReadMemory(std::string_view text, PodWishes& wishes) {
  wishes.*member = text;
  return ParseBytesQuantity(text).status();
}

Status ReadDataSize(std::string_view text, PodWishes& wishes) {
  ASSIGN_OR_RETURN(wishes.data_bytes, ParseBytesQuantity(text));
  if (wishes.data_bytes >= (1U << 20)) return OkStatus();
  return InvalidArgument("must be at least 1Mi");
}

Status ReadLogLevel(std::string_view text, PodWishes& wishes) {
  wishes.log_level = text;
  return common::ParseLogLevel(text).status();
}

Status ReadAdmin(std::string_view text, PodWishes& wishes) {
  wishes.admin = text;
  return common::ParseHostPort(text).status();
}

Status ReadWaitFor(std::string_view text, PodWishes& wishes) {
  wishes.wait_for = text == "socket" ? WaitFor::kSocket : WaitFor::kReady;
  if (text == "socket" || text == "ready") return OkStatus();
  return InvalidArgument("'{}' is not one of ready, socket", text);
}

Status ReadJobIdle(std::string_view text, PodWishes& wishes) {
  ASSIGN_OR_RETURN(wishes.job_idle, common::ParseDuration(text));
  if (wishes.job_idle >= std::chrono::seconds(1)) return OkStatus();
  return InvalidArgument("must be at least 1s");
}

Status ReadContainers(std::string_view text, PodWishes& wishes) {
  wishes.containers = SplitList(text);
  if (!wishes.containers.empty()) return OkStatus();
  return InvalidArgument("names no container; leave it out for all");
}

Status Ignore(std::string_view, PodWishes&) { return OkStatus(); }

struct Annotation {
  std::string_view name;  // behind the prefix
  std::function<Status(std::string_view, PodWishes&)> read;
};

const std::vector<Annotation>& Table() {
  static const auto* table = new std::vector<Annotation>{
      {"service", ReadService},
      {"subscribe", ReadSubscribe},
      {"image", ReadImage},
      {"cpu-request", ReadCpu<&PodWishes::cpu_request>},
      {"cpu-limit", ReadCpu<&PodWishes::cpu_limit>},
      {"memory-request", ReadMemory<&PodWishes::memory_request>},
      {"memory-limit", ReadMemory<&PodWishes::memory_limit>},
      {"data-size", ReadDataSize},
      {"log-level", ReadLogLevel},
      {"admin", ReadAdmin},
      {"wait-for", ReadWaitFor},
      {"job-idle", ReadJobIdle},
      {"containers", ReadContainers},
      {"status", Ignore},  // our own mark
  };
  return *table;
}

std::string UnknownWarning(std::string_view name) {
  std::vector<std::string_view> known;
  for (const Annotation& annotation : Table()) known.push_back(annotation.name);
  return fmt::format("annotation {}{} is unknown and has no effect{}", kAnnotationPrefix,
                     common::Printable(name), common::DidYouMean(name, known));
}

}  // namespace

common::StatusOr<std::uint64_t> ParseBytesQuantity(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::uint64_t>, 11> kSuffixes = {{
      {"Ki", 1ULL << 10},
      {"Mi", 1ULL << 20},
      {"Gi", 1ULL << 30},
      {"Ti", 1ULL << 40},
      {"Pi", 1ULL << 50},
      {"k", 1000ULL},
      {"M", 1000'000ULL},
      {"G", 1000'000'000ULL},
      {"T", 1000'000'000'000ULL},
      {"P", 1000'000'000'000'000ULL},
      {"", 1ULL},
  }};
  const auto bad = [&] {
    return InvalidArgument("'{}' is not a quantity of bytes; write e.g. 128Mi or 1Gi",
                           common::Printable(text));
  };
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = common::ParseUnsigned(text.substr(0, digits));
  if (!number.ok()) return bad();
  for (const auto& [suffix, factor] : kSuffixes) {
    if (text.substr(digits) != suffix) continue;
    if (*number > std::numeric_limits<std::int64_t>::max() / factor) return bad();
    return *number * factor;
  }
  return bad();
}

common::Status CheckCpuQuantity(std::string_view text) {
  std::string_view number = text;
  if (number.ends_with('m')) number.remove_suffix(1);
  const std::size_t dot = number.find('.');
  const bool plain = common::ParseUnsigned(number.substr(0, dot)).ok();
  const bool fraction =
      dot == std::string_view::npos ||
      (common::ParseUnsigned(number.substr(dot + 1)).ok() && number.size() == text.size());
  if (plain && fraction && number.size() <= 9) return OkStatus();
  return InvalidArgument("'{}' is not an amount of CPU; write e.g. 50m or 0.5",
                         common::Printable(text));
}

common::StatusOr<PodWishes> ReadAnnotations(const nlohmann::json& pod) {
  PodWishes wishes;
  std::string faults;
  const auto annotations = pod.value("/metadata/annotations"_json_pointer, nlohmann::json());
  for (const auto& [full_name, value] : annotations.items()) {
    if (!full_name.starts_with(kAnnotationPrefix)) continue;
    const std::string_view name = std::string_view(full_name).substr(kAnnotationPrefix.size());
    const auto known = std::find_if(Table().begin(), Table().end(),
                                    [&](const Annotation& entry) { return entry.name == name; });
    if (known == Table().end()) {
      wishes.warnings.push_back(UnknownWarning(name));
      continue;
    }
    const Status status = value.is_string() ? known->read(value.get<std::string>(), wishes)
                                            : InvalidArgument("must be text");
    if (status.ok()) continue;
    faults += fmt::format("{}annotation {}: {}", faults.empty() ? "" : "\n", full_name,
                          common::Message(status));
  }
  if (!faults.empty()) return Status(common::StatusCode::kInvalidArgument, faults);
  return wishes;
}

}  // namespace cp

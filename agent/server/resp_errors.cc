#include "agent/server/resp_errors.h"

#include <fmt/format.h>

namespace agent {
namespace {

std::string_view WriteErrorCode(common::StatusCode code) {
  switch (code) {
    case common::StatusCode::kPermissionDenied:
      return "READONLY";
    case common::StatusCode::kNotFound:
      return "NODATASET";
    case common::StatusCode::kOutOfRange:
      return "TOOBIG";
    case common::StatusCode::kResourceExhausted:
      return "FULL";
    case common::StatusCode::kUnavailable:
    case common::StatusCode::kDeadlineExceeded:
      return "UNAVAILABLE";
    case common::StatusCode::kCancelled:  // NotVisibleError
      return "TIMEOUT";
    default:
      return "ERR";
  }
}

std::string_view ReadErrorCode(common::StatusCode code) {
  switch (code) {
    case common::StatusCode::kPermissionDenied:
    case common::StatusCode::kUnauthenticated:
      return "NOPERM";
    case common::StatusCode::kNotFound:
      return "NODATASET";
    case common::StatusCode::kOutOfRange:
      return "TOOBIG";
    case common::StatusCode::kDeadlineExceeded:
      return "TIMEOUT";
    case common::StatusCode::kUnavailable:
    case common::StatusCode::kResourceExhausted:
      return "UNAVAILABLE";
    default:
      return "ERR";
  }
}

}  // namespace

std::string CoverageError(Coverage coverage, std::string_view dataset, std::string_view key,
                          std::string_view service) {
  switch (coverage) {
    case Coverage::kNotSubscribed:
      if (key.empty()) {
        return fmt::format(
            "NOTSUBSCRIBED dataset {} is not subscribed by service {}; declare a Subscription",
            dataset, service);
      }
      return fmt::format(
          "NOTSUBSCRIBED key {}/{} is outside the prefixes of dataset {} that service {} "
          "subscribes; declare a Subscription that covers it",
          dataset, key, dataset, service);
    case Coverage::kLoading:
      return fmt::format("LOADING dataset {} is being copied for the first time; try again shortly",
                         dataset);
    case Coverage::kNoDataset:
      return fmt::format("NODATASET dataset {} is not declared; declare it or correct the name",
                         dataset);
    case Coverage::kNoPermission:
      return fmt::format(
          "NOPERM service {} is not among the consumers of dataset {}; ask its owner to add it",
          service, dataset);
    case Coverage::kFaulted:
      return fmt::format(
          "LOADING dataset {} failed a checksum and is being replaced; try again shortly", dataset);
    case Coverage::kNotHeld:
    case Coverage::kReadable:
      break;
  }
  return "ERR internal error";
}

std::string ReadError(const common::Status& status, std::string_view dataset) {
  if (status.code() == common::StatusCode::kDataLoss) {
    return CoverageError(Coverage::kFaulted, dataset, {}, {});
  }
  return fmt::format("ERR cannot read the cache: {}", common::Message(status));
}

std::string WriteError(const common::Status& status) {
  return fmt::format("{} {}", WriteErrorCode(status.code()), common::Message(status));
}

common::Status NotVisibleError(const common::Version& version) {
  return common::Error(
      common::StatusCode::kCancelled,
      "the write is durable at {}, but this agent's copy does not show it yet; wait for it with "
      "TRIB.WAIT, or read with MINREV",
      common::FormatVersion(version));
}

std::string RemoteReadError(const common::Status& status, std::string_view dataset) {
  return fmt::format("{} read of dataset {} through the control plane: {}",
                     ReadErrorCode(status.code()), dataset, common::Message(status));
}

std::string StaleError(std::string_view dataset, std::optional<std::chrono::milliseconds> age,
                       std::chrono::milliseconds bound) {
  return fmt::format(
      "STALE the copy of dataset {} is behind {} ms, bound {} ms; the control plane does not "
      "answer, or the bound is shorter than the time between two freshness probes",
      dataset, age ? std::to_string(age->count()) : "an unknown number of", bound.count());
}

std::string TimeoutError(std::string_view command) {
  return fmt::format("TIMEOUT what '{}' waits for did not come in time", command);
}

std::string EpochError(const common::Version& token, std::string_view dataset,
                       common::Epoch epoch) {
  return fmt::format(
      "ERR token {} is of another epoch: the copy of dataset {} is of epoch {}; the store was "
      "restored, or the token comes from another store",
      common::FormatVersion(token), dataset, common::FormatEpoch(epoch));
}

std::string NotYetError(std::string_view what) {
  return fmt::format("ERR {} is not supported yet", what);
}

}  // namespace agent

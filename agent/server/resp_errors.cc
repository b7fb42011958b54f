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

std::string NotYetError(std::string_view what) {
  return fmt::format("ERR {} is not supported yet", what);
}

}  // namespace agent

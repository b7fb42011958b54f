#include "common/rpc/loopback.h"

#include <arpa/inet.h>

#include <string>

#include "common/admin_server.h"

namespace common {

bool IsLoopbackAddress(std::string_view address) {
  if (address.substr(0, 5) == "unix:") return true;
  const StatusOr<HostPort> parsed = ParseHostPort(address);
  if (!parsed.ok()) return false;
  if (parsed->host == "localhost" || parsed->host == "::1") return true;
  in_addr v4{};
  return inet_pton(AF_INET, parsed->host.c_str(), &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

}  // namespace common

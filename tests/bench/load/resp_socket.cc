#include "tests/bench/load/resp_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace bench {
namespace {

constexpr std::size_t kReadBytes = 256 * 1024;

int ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) Die("socket path too long: " + path);
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  Die("connect " + path + ": " + std::strerror(errno));
}

int ConnectTcp(const std::string& host_port) {
  const std::size_t colon = host_port.rfind(':');
  if (colon == std::string::npos) Die("address must be /path or host:port: " + host_port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(host_port.c_str() + colon + 1)));
  if (::inet_pton(AF_INET, host_port.substr(0, colon).c_str(), &address.sin_addr) != 1) {
    Die("not a numeric address: " + host_port);
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  Die("connect " + host_port + ": " + std::strerror(errno));
}

}  // namespace

void Die(std::string_view what) {
  fmt::print(stderr, "bench: {}\n", what);
  std::exit(1);
}

RespSocket::RespSocket(const std::string& address)
    : fd_(address.starts_with('/') ? ConnectUnix(address) : ConnectTcp(address)) {}

RespSocket::~RespSocket() {
  if (fd_ >= 0) ::close(fd_);
}

RespSocket::RespSocket(RespSocket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), replies_(std::move(other.replies_)) {}

void RespSocket::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) Die(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool RespSocket::Fill(bool wait) {
  char* const room = replies_.Room(kReadBytes);
  ssize_t got = -1;
  do {
    got = ::recv(fd_, room, kReadBytes, wait ? 0 : MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return false;
  if (got <= 0) Die("the server closed the connection");
  replies_.Filled(static_cast<std::size_t>(got));
  return true;
}

std::string_view RespSocket::Receive() {
  std::string_view reply;
  while (!replies_.Next(reply)) Fill(/*wait=*/true);
  return reply;
}

std::string RespSocket::Ask(const std::vector<std::string>& words) {
  Send(Command(words));
  std::string reply(Receive());
  if (reply[0] == '-') Die(words[0] + ": " + reply);
  return reply;
}

}  // namespace bench

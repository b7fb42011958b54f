// AdminServer: the small HTTP side of a program for operators and probes.
//
// Thread: Get, Post, Start and Stop from main; handlers run on the server's own threads, several at
// a time.  Lifetime: everything that handlers use outlives the server.
// Built in: GET / (the list of pages), /live, /ready, /metrics and /stats/prometheus, GET and POST
// /log-level (body or ?level=), POST /quitquitquit (loopback only). Answers are not cached.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "common/log.h"
#include "common/metrics.h"
#include "common/status.h"

namespace common {

struct AdminRequest {
  std::map<std::string, std::string> query;  // the first value of each parameter
  std::string body;
  std::string peer;  // address without port
};

struct AdminResponse {
  int status = 200;
  std::string body;
  std::string content_type = "text/plain; charset=utf-8";
};
AdminResponse JsonResponse(std::string json);
AdminResponse ErrorResponse(int status, std::string_view message);  // one line of text

using AdminHandler = std::function<AdminResponse(const AdminRequest&)>;

struct AdminHooks {
  std::function<Status()> live = [] { return OkStatus(); };   // not OK: 503 with the message
  std::function<Status()> ready = [] { return OkStatus(); };  // as above
  std::function<std::string()> ready_note = {};  // what is wrong although it is ready; may be empty
  std::function<void()> quit = {};               // absent: /quitquitquit answers 501
};

// "127.0.0.1:9901", "[::1]:9901", "localhost:0" → host and port.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
StatusOr<HostPort> ParseHostPort(std::string_view text);

class AdminServer {
 public:
  AdminServer(const AdminHooks& hooks, Log& log, Metrics& metrics);
  ~AdminServer();  // stops
  AdminServer(const AdminServer&) = delete;
  AdminServer& operator=(const AdminServer&) = delete;

  // Before Start. `path` is literal; `summary` is shown in the list of pages.
  void Get(const std::string& path, const std::string& summary, AdminHandler handler);
  void Post(const std::string& path, const std::string& summary, AdminHandler handler);

  // INVALID_ARGUMENT: not HOST:PORT. UNAVAILABLE: cannot listen there; says the address.
  Status Start(const std::string& listen);
  void Stop();  // waits for handlers that run

  std::uint16_t port() const;  // after Start; the real one when 0 was asked for

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace common

#include "common/admin_server.h"

#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "common/thread.h"
#include "common/units.h"

namespace common {
namespace {

constexpr std::size_t kThreads = 4;
constexpr std::size_t kBodyBytesMax = 1 << 20;
constexpr time_t kKeepAliveSeconds = 2;  // an idle connection occupies a thread

bool IsLoopbackPeer(const std::string& address) {
  return address.rfind("127.", 0) == 0 || address == "::1" || address.rfind("::ffff:127.", 0) == 0;
}

AdminRequest ToAdminRequest(const httplib::Request& request) {
  AdminRequest converted;
  for (const auto& [name, value] : request.params) converted.query.emplace(name, value);
  converted.body = request.body;
  converted.peer = request.remote_addr;
  return converted;
}

void Answer(const AdminResponse& from, httplib::Response& to) {
  to.status = from.status;
  to.set_header("Cache-Control", "no-cache, max-age=0");
  to.set_header("X-Content-Type-Options", "nosniff");
  to.set_content(from.body, from.content_type.c_str());
}

// httplib's default is SO_REUSEPORT, with which a second process would silently share the port.
void SetSocketOptions(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

AdminResponse FromStatus(const Status& status, const std::string& good) {
  return status.ok() ? AdminResponse{.body = good + "\n"} : ErrorResponse(503, Message(status));
}

AdminResponse Ready(const AdminHooks& hooks) {
  const Status status = hooks.ready();
  const std::string note = hooks.ready_note ? hooks.ready_note() : std::string();
  return FromStatus(status, note.empty() ? "ready" : fmt::format("ready, but {}", note));
}

AdminResponse SetLogLevel(const AdminRequest& request, Log& log) {
  const auto parameter = request.query.find("level");
  std::string name = parameter != request.query.end() ? parameter->second : request.body;
  while (!name.empty() && (name.back() == '\n' || name.back() == '\r')) name.pop_back();
  const StatusOr<LogLevel> level = ParseLogLevel(name);
  if (!level.ok()) return ErrorResponse(400, Message(level.status()));
  log.set_level(*level);
  return {.body = name + "\n"};
}

}  // namespace

struct AdminServer::Impl {
  struct Page {
    std::string method;
    std::string summary;
    AdminHandler handler;
  };

  std::string ListPages() const {
    std::string text;
    for (const auto& [path, pages] : pages_by_path) {
      for (const Page& page : pages) {
        text += fmt::format("{:<4} {:<20} {}\n", page.method, path, page.summary);
      }
    }
    return text;
  }

  AdminResponse Handle(const httplib::Request& request) const {
    const auto pages = pages_by_path.find(request.path);
    if (pages == pages_by_path.end()) {
      return ErrorResponse(404,
                           fmt::format("no page {}; there are\n{}", request.path, ListPages()));
    }
    // A browser says where a request comes from; nothing that changes state is for web pages.
    if (request.method == "POST" && request.has_header("Origin")) {
      return ErrorResponse(403, "POST from a web page is refused");
    }
    const std::string method = request.method == "HEAD" ? "GET" : request.method;
    for (const Page& page : pages->second) {
      if (page.method == method) return page.handler(ToAdminRequest(request));
    }
    return ErrorResponse(405, fmt::format("use {} {}", pages->second.front().method, request.path));
  }

  std::map<std::string, std::vector<Page>> pages_by_path;
  httplib::Server server;
  Thread thread;
  std::atomic<bool> ended{false};  // the accept loop has returned
  std::uint16_t port = 0;
};

AdminResponse JsonResponse(std::string json) {
  return {.body = std::move(json), .content_type = "application/json"};
}

AdminResponse ErrorResponse(int status, std::string_view message) {
  return {.status = status, .body = std::string(message) + "\n"};
}

StatusOr<HostPort> ParseHostPort(std::string_view text) {
  const auto bad = [&] {
    return InvalidArgument("\"{}\" is not HOST:PORT; write e.g. 127.0.0.1:9901 or [::1]:9901",
                           text);
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad();
  std::string_view host = text.substr(0, colon);
  const StatusOr<std::uint64_t> port = ParseUnsigned(text.substr(colon + 1));
  if (!port.ok() || *port > 65535) return bad();
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host.find_first_of(":[] /") != std::string_view::npos) return bad();
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

AdminServer::AdminServer(const AdminHooks& hooks, Log& log, Metrics& metrics)
    : impl_(std::make_unique<Impl>()) {
  Get("/", "this list",
      [this](const AdminRequest&) { return AdminResponse{.body = impl_->ListPages()}; });
  Get("/live", "200 while the process works",
      [live = hooks.live](const AdminRequest&) { return FromStatus(live(), "live"); });
  Get("/ready", "200 once it can serve, 503 with the reason before",
      [hooks](const AdminRequest&) { return Ready(hooks); });
  for (const char* path : {"/metrics", "/stats/prometheus"}) {
    Get(path, "metrics as Prometheus text", [&metrics](const AdminRequest&) {
      return AdminResponse{.body = metrics.Text(),
                           .content_type = "text/plain; version=0.0.4; charset=utf-8"};
    });
  }
  Get("/log-level", "the log level", [&log](const AdminRequest&) {
    return AdminResponse{.body = std::string(LogLevelName(log.level())) + "\n"};
  });
  Post("/log-level", "set it: ?level= or body debug | info | warn | error | off",
       [&log](const AdminRequest& request) { return SetLogLevel(request, log); });
  Post("/quitquitquit", "drain and exit; from loopback only",
       [quit = hooks.quit](const AdminRequest& request) {
         if (!IsLoopbackPeer(request.peer)) return ErrorResponse(403, "only from loopback");
         if (!quit) return ErrorResponse(501, "this program cannot be asked to quit");
         quit();
         return AdminResponse{.body = "draining\n"};
       });
}

AdminServer::~AdminServer() { Stop(); }

void AdminServer::Get(const std::string& path, const std::string& summary, AdminHandler handler) {
  impl_->pages_by_path[path].push_back({"GET", summary, std::move(handler)});
}

void AdminServer::Post(const std::string& path, const std::string& summary, AdminHandler handler) {
  impl_->pages_by_path[path].push_back({"POST", summary, std::move(handler)});
}

Status AdminServer::Start(const std::string& listen) {
  ASSIGN_OR_RETURN(const HostPort address, ParseHostPort(listen));
  httplib::Server& server = impl_->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_socket_options(SetSocketOptions);
  server.set_keep_alive_timeout(kKeepAliveSeconds);
  server.set_read_timeout(5);
  server.set_write_timeout(5);
  server.set_payload_max_length(kBodyBytesMax);
  const auto handle = [impl = impl_.get()](const httplib::Request& request,
                                           httplib::Response& response) {
    Answer(impl->Handle(request), response);
  };
  server.Get(".*", handle);
  server.Post(".*", handle);
  server.set_exception_handler([](const auto&, auto& response, const std::exception_ptr&) {
    Answer(ErrorResponse(500, "internal error"), response);
  });
  const int port = address.port == 0
                       ? server.bind_to_any_port(address.host)
                       : (server.bind_to_port(address.host, address.port) ? address.port : -1);
  if (port <= 0) {
    return Error(StatusCode::kUnavailable, "cannot listen on {}: {}", listen,
                 errno == 0 ? "no such address" : ErrnoText(errno));
  }
  impl_->port = static_cast<std::uint16_t>(port);
  impl_->thread = Thread("admin", [impl = impl_.get()] {
    impl->server.listen_after_bind();
    impl->ended = true;
  });
  return OkStatus();
}

void AdminServer::Stop() {
  if (impl_->port == 0) return;
  // stop() does nothing before the accept loop runs, and the join would wait for ever.
  while (!impl_->server.is_running() && !impl_->ended) std::this_thread::yield();
  impl_->server.stop();
  impl_->thread.Join();
  impl_->port = 0;
}

std::uint16_t AdminServer::port() const { return impl_->port; }

}  // namespace common

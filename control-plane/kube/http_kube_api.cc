#include "control-plane/kube/http_kube_api.h"

#include <httplib.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "common/limits.h"
#include "common/mutex.h"

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

constexpr std::size_t kLineBytesMax = 4 * common::kMiB;  // of a watch; etcd takes 1.5 MiB objects
constexpr std::size_t kErrorBytesMax = 64 * common::kKiB;

std::string ReadToken(const std::string& file) {
  std::ifstream in(file);
  std::string token((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  while (!token.empty() && token.back() == '\n') token.pop_back();
  return token;
}

// Cuts what arrives into lines.
class Lines {
 public:
  explicit Lines(const KubeApi::OnLine& on_line) : on_line_(on_line) {}
  bool Take(const char* data, std::size_t size) {
    rest_.append(data, size);
    std::size_t from = 0;
    for (std::size_t end = 0; (end = rest_.find('\n', from)) != std::string::npos; from = end + 1) {
      if (end > from && !on_line_(std::string_view(rest_).substr(from, end - from))) return false;
    }
    rest_.erase(0, from);
    return rest_.size() <= kLineBytesMax;
  }

 private:
  const KubeApi::OnLine& on_line_;
  std::string rest_;
};

}  // namespace

common::StatusOr<KubeConnection> InClusterConnection() {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");  // NOLINT(concurrency-mt-unsafe)
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");  // NOLINT(concurrency-mt-unsafe)
  if (host == nullptr || port == nullptr) {
    return Error(StatusCode::kFailedPrecondition,
                 "KUBERNETES_SERVICE_HOST is not set, so this is no pod: give --kubernetes-server, "
                 "--kubernetes-ca and --kubernetes-token-file");
  }
  const std::string name = host;
  const bool is_ipv6 = name.find(':') != std::string::npos;
  return KubeConnection{.server = fmt::format("https://{}{}{}:{}", is_ipv6 ? "[" : "", name,
                                              is_ipv6 ? "]" : "", port),
                        .ca_file = std::string(kAccountDir) + "/ca.crt",
                        .token_file = std::string(kAccountDir) + "/token"};
}

struct HttpKubeApi::Impl {
  // A client that Stop can reach while it works.
  class Lease {
   public:
    explicit Lease(Impl& impl) : impl_(impl), client_(impl.connection.server) {
      common::MutexLock lock(impl_.mutex);
      impl_.clients.insert(&client_);
    }
    ~Lease() {
      common::MutexLock lock(impl_.mutex);
      impl_.clients.erase(&client_);
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    httplib::Client& operator*() { return client_; }

   private:
    Impl& impl_;
    httplib::Client client_;
  };

  common::Status Prepare(httplib::Client& client, std::chrono::seconds silence) const {
    if (!client.is_valid()) {
      return common::InvalidArgument("--kubernetes-server {}: write https://HOST:PORT",
                                     connection.server);
    }
    if (!connection.ca_file.empty()) client.set_ca_cert_path(connection.ca_file);
    client.enable_server_certificate_verification(true);
    client.set_connection_timeout(connection.timeout);
    client.set_write_timeout(connection.timeout);
    client.set_read_timeout(silence);
    client.set_keep_alive(false);
    if (connection.token_file.empty()) return common::OkStatus();
    const std::string token = ReadToken(connection.token_file);
    if (token.empty()) {
      return Error(StatusCode::kUnavailable, "{}: empty or unreadable", connection.token_file);
    }
    client.set_bearer_token_auth(token);
    return common::OkStatus();
  }

  common::Status Unanswered(const std::string& what, httplib::Error error) const {
    return Error(StatusCode::kUnavailable, "{}: no answer from {}: {}", what, connection.server,
                 httplib::to_string(error));
  }

  const KubeConnection connection;
  std::atomic<bool> stopped{false};
  common::Mutex mutex;
  std::set<httplib::Client*> clients TSA_GUARDED_BY(mutex);
};

HttpKubeApi::HttpKubeApi(KubeConnection connection)
    : impl_(new Impl{.connection = std::move(connection), .mutex = {}, .clients = {}}) {}
HttpKubeApi::~HttpKubeApi() = default;

common::StatusOr<KubeAnswer> HttpKubeApi::Call(const KubeRequest& request) {
  Impl::Lease client(*impl_);
  const std::string what = request.method + " " + request.path;
  if (impl_->stopped) return absl::UnavailableError(what + ": stopping");
  RETURN_IF_ERROR(impl_->Prepare(*client, impl_->connection.timeout));
  httplib::Request sent;
  sent.method = request.method;
  sent.path = request.path;
  if (!request.body.empty()) {
    sent.body = request.body;
    sent.set_header("Content-Type", request.content_type);
  }
  sent.set_header("Accept", "application/json");
  auto answer = (*client).send(sent);
  if (!answer) return impl_->Unanswered(what, answer.error());
  return KubeAnswer{.code = answer->status, .body = std::move(answer->body)};
}

common::StatusOr<KubeAnswer> HttpKubeApi::Watch(const std::string& path, const OnLine& on_line) {
  Impl::Lease client(*impl_);
  if (impl_->stopped) return absl::UnavailableError("watch: stopping");
  RETURN_IF_ERROR(impl_->Prepare(*client, impl_->connection.watch_silence));
  KubeAnswer result;
  Lines lines(on_line);
  bool refused = false;  // the caller has had enough
  const auto answer = (*client).Get(
      path,
      [&](const httplib::Response& head) {
        result.code = head.status;
        return !impl_->stopped;  // Stop may have come while we connected
      },
      [&](const char* data, std::size_t size) {
        if (result.code == 200) return !(refused = !lines.Take(data, size));
        result.body.append(data, std::min(size, kErrorBytesMax - result.body.size()));
        return true;
      });
  // The server ends a watch when it likes; that a stream broke off is no different.
  if (answer || refused || result.code != 0) return result;
  return impl_->Unanswered("GET " + path, answer.error());
}

void HttpKubeApi::Stop() {
  impl_->stopped = true;
  common::MutexLock lock(impl_->mutex);
  for (httplib::Client* client : impl_->clients) client->stop();
}

}  // namespace cp

#include "control-plane/webhook/admission_server.h"

#include <httplib.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "common/admin_server.h"
#include "common/limits.h"
#include "common/mutex.h"
#include "common/thread.h"
#include "control-plane/webhook/review.h"
#include "control-plane/webhook/x509.h"

namespace cp {
namespace {

using common::Error;
using common::InvalidArgument;
using common::StatusCode;

constexpr std::size_t kThreads = 16;
constexpr std::size_t kReviewBytesMax = 8 * common::kMiB;  // an API server takes 3 MiB
constexpr int kSilenceSeconds = 5;

struct Identity {
  CertificatePtr certificate;
  KeyPtr key;
};

void SetSocketOptions(socket_t socket) {
  const int yes = 1;
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
}

// What one webhook has done, for metrics.
struct Counters {
  Counters(common::Metrics& metrics, const std::string& webhook)
      : allowed(Named(metrics, webhook, "allowed")),
        patched(Named(metrics, webhook, "patched")),
        refused(Named(metrics, webhook, "refused")),
        malformed(Named(metrics, webhook, "malformed")),
        seconds(metrics.AddHistogram("tributary_injector_review_seconds",
                                     "Time to answer an AdmissionReview", common::LatencyBuckets(),
                                     {{"webhook", webhook}})) {}
  static common::Counter& Named(common::Metrics& metrics, const std::string& webhook,
                                const char* result) {
    return metrics.AddCounter("tributary_injector_reviews_total", "AdmissionReviews by result",
                              {{"webhook", webhook}, {"result", result}});
  }
  common::Counter& allowed;
  common::Counter& patched;
  common::Counter& refused;
  common::Counter& malformed;
  common::Histogram& seconds;
};

}  // namespace

struct AdmissionServer::Impl {
  Impl(common::Log& to, common::Metrics& metrics)
      : log(to), pods(metrics, "inject"), declarations(metrics, "validate") {}

  // Called for each handshake: the certificate in force now.
  static int UseIdentity(SSL* ssl, void* self) {
    auto* const impl = static_cast<Impl*>(self);
    common::MutexLock lock(impl->mutex);
    const Identity* const identity = impl->identity.get();
    return identity != nullptr && SSL_use_certificate(ssl, identity->certificate.get()) == 1 &&
                   SSL_use_PrivateKey(ssl, identity->key.get()) == 1
               ? 1
               : 0;
  }
  bool SetUp(SSL_CTX& context) {
    SSL_CTX_set_min_proto_version(&context, TLS1_2_VERSION);
    SSL_CTX_set_options(&context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(&context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_cert_cb(&context, &UseIdentity, this);
    return true;
  }
  InjectSettings Settings() TSA_EXCLUDES(mutex) {
    common::MutexLock lock(mutex);
    return settings;
  }
  void Answer(Counters& counters, const common::StatusOr<ReviewAnswer>& answer,
              std::chrono::steady_clock::time_point began, httplib::Response& response) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    counters.seconds.Observe(took.count());
    if (!answer.ok()) {
      counters.malformed.Increment();
      response.status = 400;
      response.set_content(std::string(common::Message(answer.status())) + "\n", "text/plain");
      return;
    }
    response.set_content(answer->body, "application/json");
    if (!answer->allowed) {
      counters.refused.Increment();
      log.Warn("refused", {{"object", answer->subject}, {"reason", answer->message}});
      return;
    }
    (answer->patched ? counters.patched : counters.allowed).Increment();
    log.Info("reviewed", {{"object", answer->subject},
                          {"patched", answer->patched},
                          {"warnings", answer->warnings}});
  }

  common::Log& log;
  Counters pods;
  Counters declarations;
  common::Mutex mutex;
  std::unique_ptr<Identity> identity TSA_GUARDED_BY(mutex);
  InjectSettings settings TSA_GUARDED_BY(mutex);
  bool configured TSA_GUARDED_BY(mutex) = false;
  std::unique_ptr<httplib::SSLServer> server;
  common::Thread thread;
  std::atomic<bool> ended{false};
  int port = 0;
};

AdmissionServer::AdmissionServer(common::Log& log, common::Metrics& metrics)
    : impl_(std::make_unique<Impl>(log, metrics)) {}

AdmissionServer::~AdmissionServer() { Stop(); }

common::Status AdmissionServer::SetCertificate(const KeyPair& pair) {
  auto identity =
      std::make_unique<Identity>(Identity{ParseCertificate(pair.certificate), ParseKey(pair.key)});
  if (!identity->certificate) return InvalidArgument("the webhook's certificate is unreadable");
  if (!identity->key) return InvalidArgument("the webhook's key is unreadable");
  if (X509_check_private_key(identity->certificate.get(), identity->key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("the webhook's key does not belong to its certificate");
  }
  common::MutexLock lock(impl_->mutex);
  impl_->identity = std::move(identity);
  return common::OkStatus();
}

void AdmissionServer::SetSettings(InjectSettings settings) {
  common::MutexLock lock(impl_->mutex);
  impl_->settings = std::move(settings);
  impl_->configured = true;
}

common::Status AdmissionServer::ready() const {
  common::MutexLock lock(impl_->mutex);
  if (impl_->port == 0) return Error(StatusCode::kUnavailable, "not listening");
  if (!impl_->identity) return Error(StatusCode::kUnavailable, "no certificate yet");
  if (!impl_->configured) return Error(StatusCode::kUnavailable, "server version not known yet");
  return common::OkStatus();
}

int AdmissionServer::port() const { return impl_->port; }

common::Status AdmissionServer::Start(const std::string& listen) {
  ASSIGN_OR_RETURN(const common::HostPort address, common::ParseHostPort(listen));
  Impl* const impl = impl_.get();
  impl->server = std::make_unique<httplib::SSLServer>(
      [impl](SSL_CTX& context) { return impl->SetUp(context); });
  httplib::SSLServer& server = *impl->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  server.set_socket_options(SetSocketOptions);
  server.set_keep_alive_max_count(1);
  server.set_read_timeout(kSilenceSeconds);
  server.set_write_timeout(kSilenceSeconds);
  server.set_payload_max_length(kReviewBytesMax);
  server.Post("/inject", [impl](const httplib::Request& request, httplib::Response& response) {
    const auto began = std::chrono::steady_clock::now();
    impl->Answer(impl->pods, ReviewPod(request.body, impl->Settings()), began, response);
  });
  server.Post("/validate", [impl](const httplib::Request& request, httplib::Response& response) {
    const auto began = std::chrono::steady_clock::now();
    impl->Answer(impl->declarations, ReviewDeclaration(request.body), began, response);
  });
  const int port = address.port == 0
                       ? server.bind_to_any_port(address.host)
                       : (server.bind_to_port(address.host, address.port) ? address.port : -1);
  if (port <= 0) {
    return Error(StatusCode::kUnavailable, "cannot listen on {}: {}", listen,
                 errno == 0 ? "no such address" : common::ErrnoText(errno));
  }
  {
    common::MutexLock lock(impl->mutex);
    impl->port = port;
  }
  impl->thread = common::Thread("admission", [impl] {
    impl->server->listen_after_bind();
    impl->ended = true;
  });
  return common::OkStatus();
}

void AdmissionServer::Stop() {
  if (!impl_->server || impl_->port == 0) return;
  // stop() does nothing before the accept loop runs, and the join would wait for ever.
  while (!impl_->server->is_running() && !impl_->ended) std::this_thread::yield();
  impl_->server->stop();
  impl_->thread.Join();
  common::MutexLock lock(impl_->mutex);
  impl_->port = 0;
}

}  // namespace cp

#include "control-plane/webhook/certificate_keeper.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "control-plane/kube/base64.h"

namespace cp {
namespace {

using common::StatusCode;
using nlohmann::json;

constexpr std::size_t kEventsMax = 1'000;

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::map<std::string, std::string> DataOf(const json& secret) {
  std::map<std::string, std::string> data;
  const json files = secret.value("data", json::object());  // items() does not keep it alive
  for (const auto& [name, value] : files.items()) {
    if (value.is_string()) data[name] = Base64Decode(value.get<std::string>()).value_or("");
  }
  return data;
}

// Creates `object` under `collection` or, when `there`, replaces it.
common::Status Write(KubeApi& api, const std::string& collection, const json& object, bool there) {
  const std::string name = object.at("metadata").at("name");
  const std::string text = object.dump(-1, ' ', false, json::error_handler_t::replace);
  return CallJson(api, {.method = there ? "PUT" : "POST",
                        .path = there ? collection + "/" + name : collection,
                        .body = text})
      .status();
}

json NewObject(const char* kind, const std::string& space, const char* name) {
  return {{"apiVersion", "v1"},
          {"kind", kind},
          {"metadata",
           {{"name", name},
            {"namespace", space},
            {"labels", {{"app.kubernetes.io/part-of", "tributary"}}}}}};
}

// The object, or null when there is none.
common::StatusOr<json> Find(KubeApi& api, const std::string& path) {
  auto found = CallJson(api, {.path = path});
  if (found.status().code() == StatusCode::kNotFound) return json();
  return found;
}

}  // namespace

CertificateKeeper::CertificateKeeper(CertificateKeeperOptions options, KubeApi& api,
                                     AdmissionServer& server, const common::Clock& clock,
                                     common::Log& log, common::Metrics& metrics)
    : options_(std::move(options)),
      api_(api),
      server_(server),
      clock_(clock),
      log_(log),
      expiry_(metrics.AddGauge("tributary_injector_certificate_expiry_timestamp_seconds",
                               "When the webhook's certificate ends, Unix time")),
      authority_expiry_(metrics.AddGauge("tributary_injector_authority_expiry_timestamp_seconds",
                                         "When the authority's certificate ends, Unix time")),
      failures_(metrics.AddCounter("tributary_injector_certificate_failures_total",
                                   "Rounds of certificate work that failed")),
      mailbox_(kEventsMax) {}

CertificateKeeper::~CertificateKeeper() {
  api_.Stop();
  mirror_.reset();
  mailbox_.Close();
}

void CertificateKeeper::Start() {
  mirror_ = std::make_unique<Mirror>(
      options_.mirror,
      Reflector("Namespace", "/api/v1/namespaces", "tributary.dev/injection=enabled"), api_,
      mailbox_, log_);
  thread_ = common::Thread("certificates", [this] { Run(); });
}

void CertificateKeeper::Run() {
  std::string complained;
  while (!mailbox_.closed()) {
    const common::Status status = Round();
    if (!status.ok() && !mailbox_.closed()) {
      failures_.Increment();
      const std::string told(common::Message(status));
      // Two replicas that write at once is how this works, not a fault.
      if (told != complained && status.code() != StatusCode::kAborted) {
        log_.Warn("certificates", {{"error", told}});
      }
      complained = told;
    }
    OnNamespaces(mailbox_.WaitAll(status.ok() ? options_.interval : options_.retry));
  }
}

void CertificateKeeper::OnNamespaces(const std::vector<KubeEvent>& events) {
  for (const KubeEvent& event : events) {
    if (event.type == KubeEvent::Type::kReplaced) namespaces_.clear();
    for (const json& object : event.objects) {
      const std::string name = object.at("metadata").value("name", "");
      const bool leaves = event.type == KubeEvent::Type::kDeleted ||
                          object.at("metadata").contains("deletionTimestamp");
      leaves ? static_cast<void>(namespaces_.erase(name))
             : static_cast<void>(namespaces_.insert(name));
    }
  }
}

common::Status CertificateKeeper::Round() {
  RETURN_IF_ERROR(Load());
  common::Status first = KeepWebhook("mutatingwebhookconfigurations", kMutatingWebhook);
  first.Update(KeepWebhook("validatingwebhookconfigurations", kValidatingWebhook));
  for (const std::string& space : namespaces_) first.Update(KeepConfigMap(space));
  return first;
}

common::Status CertificateKeeper::Load() {
  KeyPair pair;
  if (options_.files.empty()) {
    ASSIGN_OR_RETURN(const Pki pki, LoadPki());
    pair = pki.webhook;
    bundle_ = pki.Bundle();
    RETURN_IF_ERROR(KeepServerSecret(pki));
  } else {
    pair = {ReadFile(options_.files.certificate), ReadFile(options_.files.key)};
    bundle_ = ReadFile(options_.files.authority);
  }
  const auto authority_ends = ExpiryOf(bundle_);
  if (!authority_ends.ok()) return common::Annotate(authority_ends.status(), "authority");
  if (pair != served_) {
    RETURN_IF_ERROR(server_.SetCertificate(pair));
    served_ = pair;
    log_.Info("webhook certificate in force", {{"ends_unix_s", *ExpiryOf(pair.certificate)}});
  }
  expiry_.Set(static_cast<double>(*ExpiryOf(pair.certificate)));
  authority_expiry_.Set(static_cast<double>(*authority_ends));
  return common::OkStatus();
}

common::StatusOr<Pki> CertificateKeeper::LoadPki() {
  const std::string secrets =
      fmt::format("/api/v1/namespaces/{}/secrets", options_.system_namespace);
  ASSIGN_OR_RETURN(json secret, Find(api_, secrets + "/" + kPkiSecret));
  const Pki found =
      PkiFromFiles(secret.is_null() ? std::map<std::string, std::string>() : DataOf(secret));
  ASSIGN_OR_RETURN(Pki pki, RenewPki(found, options_.pki, clock_.UnixMillis() / 1000));
  if (pki == found) return pki;
  const bool there = !secret.is_null();
  if (!there) secret = NewObject("Secret", options_.system_namespace, kPkiSecret);
  for (const auto& [name, text] : PkiToFiles(pki)) secret["data"][name] = Base64Encode(text);
  RETURN_IF_ERROR(Write(api_, secrets, secret, there));
  log_.Info("certificates renewed", {{"secret", kPkiSecret}});
  return pki;
}

common::Status CertificateKeeper::KeepServerSecret(const Pki& pki) {
  const std::map<std::string, std::string> wanted = {
      {"tls.crt", pki.server.certificate}, {"tls.key", pki.server.key}, {"ca.crt", pki.Bundle()}};
  const std::string secrets =
      fmt::format("/api/v1/namespaces/{}/secrets", options_.system_namespace);
  ASSIGN_OR_RETURN(json secret, Find(api_, secrets + "/" + kServerSecret));
  const bool there = !secret.is_null();
  if (there && DataOf(secret) == wanted) return common::OkStatus();
  if (!there) {
    secret = NewObject("Secret", options_.system_namespace, kServerSecret);
    secret["type"] = "kubernetes.io/tls";
  }
  secret["data"] = json::object();
  for (const auto& [name, text] : wanted) secret["data"][name] = Base64Encode(text);
  return Write(api_, secrets, secret, there);
}

common::Status CertificateKeeper::KeepWebhook(const char* kind, const char* name) {
  const std::string path = fmt::format("/apis/admissionregistration.k8s.io/v1/{}/{}", kind, name);
  ASSIGN_OR_RETURN(const json configuration, Find(api_, path));
  const json webhooks = configuration.is_null() ? json() : configuration.value("webhooks", json());
  const std::string wanted = Base64Encode(bundle_);
  json patch = json::array();
  for (std::size_t i = 0; i < webhooks.size(); ++i) {
    if (webhooks[i].value("/clientConfig/caBundle"_json_pointer, "") == wanted) continue;
    // The test holds the patch to the entry that was read: another may be at its place by now.
    const std::string at = fmt::format("/webhooks/{}/", i);
    patch.push_back({{"op", "test"}, {"path", at + "name"}, {"value", webhooks[i].at("name")}});
    patch.push_back({{"op", "add"}, {"path", at + "clientConfig/caBundle"}, {"value", wanted}});
  }
  if (patch.empty()) return common::OkStatus();
  log_.Info("caBundle written", {{"configuration", name}});
  return CallJson(
             api_,
             {.method = "PATCH", .path = path, .body = patch.dump(), .content_type = kJsonPatch})
      .status();
}

common::Status CertificateKeeper::KeepConfigMap(const std::string& space) {
  const std::string collection = fmt::format("/api/v1/namespaces/{}/configmaps", space);
  const std::string name(kCaConfigMap);
  ASSIGN_OR_RETURN(json map, Find(api_, collection + "/" + name));
  const bool there = !map.is_null();
  if (there && map.value("/data/ca.crt"_json_pointer, "") == bundle_) return common::OkStatus();
  if (!there) map = NewObject("ConfigMap", space, name.c_str());
  map["data"] = {{"ca.crt", bundle_}};
  const common::Status written = Write(api_, collection, map, there);
  // A namespace that is going, or another replica that was first.
  const bool settled = written.code() == StatusCode::kNotFound;
  return settled ? common::OkStatus() : written;
}

}  // namespace cp

#include "control-plane/webhook/pki.h"

#include <algorithm>
#include <utility>

#include "control-plane/webhook/x509.h"

namespace cp {
namespace {

constexpr std::int64_t kClockSkewSeconds = 300;  // of those who check

// False: absent, unreadable, or ended.
bool Lives(const std::string& certificate, std::int64_t now_s) {
  const CertificatePtr parsed = ParseCertificate(certificate);
  return parsed && EndOf(*parsed) > now_s;
}

// In the last third of its life it is time for another.
bool IsOld(const X509& certificate, std::int64_t now_s) {
  const std::int64_t life = EndOf(certificate) - BeginOf(certificate);
  return EndOf(certificate) - now_s < life / 3;
}

bool IsWhole(const KeyPair& pair, std::int64_t now_s) {
  const CertificatePtr certificate = ParseCertificate(pair.certificate);
  const KeyPtr key = ParseKey(pair.key);
  return certificate && key && EndOf(*certificate) > now_s &&
         X509_check_private_key(certificate.get(), key.get()) == 1;
}

common::StatusOr<KeyPair> NewAuthority(const PkiOptions& options, std::int64_t now_s) {
  ASSIGN_OR_RETURN(MadeCertificate made,
                   MakeCertificate({.common_name = fmt::format("tributary-ca-{}", now_s),
                                    .is_authority = true,
                                    .from_s = now_s - kClockSkewSeconds,
                                    .until_s = now_s + options.authority_life.count()},
                                   nullptr, nullptr));
  return KeyPair{std::move(made.certificate), std::move(made.key)};
}

common::Status RenewAuthority(Pki& pki, const PkiOptions& options, std::int64_t now_s) {
  if (!Lives(pki.previous, now_s)) pki.previous.clear();
  if (!IsWhole(pki.next, now_s)) pki.next = {};
  if (!IsWhole(pki.authority, now_s)) {
    if (Lives(pki.authority.certificate, now_s)) pki.previous = pki.authority.certificate;
    if (pki.next.key.empty()) {
      ASSIGN_OR_RETURN(pki.next, NewAuthority(options, now_s));
    }
    pki.authority = std::exchange(pki.next, {});
    return common::OkStatus();
  }
  const CertificatePtr authority = ParseCertificate(pki.authority.certificate);
  if (!IsOld(*authority, now_s)) return common::OkStatus();
  if (pki.next.key.empty()) {
    ASSIGN_OR_RETURN(pki.next, NewAuthority(options, now_s));
    return common::OkStatus();
  }
  const CertificatePtr next = ParseCertificate(pki.next.certificate);
  const std::int64_t published_s = BeginOf(*next) + kClockSkewSeconds;
  if (now_s - published_s < options.overlap.count()) return common::OkStatus();
  pki.previous = pki.authority.certificate;
  pki.authority = std::exchange(pki.next, {});
  return common::OkStatus();
}

common::Status RenewLeaf(KeyPair& leaf, const char* common_name,
                         const std::vector<std::string>& names, const Pki& pki,
                         const PkiOptions& options, std::int64_t now_s) {
  const CertificatePtr authority = ParseCertificate(pki.authority.certificate);
  const KeyPtr key = ParseKey(pki.authority.key);
  if (IsWhole(leaf, now_s)) {
    const CertificatePtr current = ParseCertificate(leaf.certificate);
    if (!IsOld(*current, now_s) && Names(*current, names) && SignedBy(*current, *authority)) {
      return common::OkStatus();
    }
  }
  const std::int64_t until =
      std::min(now_s + options.leaf_life.count(), EndOf(*authority));  // never beyond its signer
  ASSIGN_OR_RETURN(MadeCertificate made, MakeCertificate({.common_name = common_name,
                                                          .names = names,
                                                          .from_s = now_s - kClockSkewSeconds,
                                                          .until_s = until},
                                                         authority.get(), key.get()));
  leaf = {std::move(made.certificate), std::move(made.key)};
  return common::OkStatus();
}

}  // namespace

std::string Pki::Bundle() const { return authority.certificate + next.certificate + previous; }

common::StatusOr<Pki> RenewPki(Pki pki, const PkiOptions& options, std::int64_t now_s) {
  RETURN_IF_ERROR(RenewAuthority(pki, options, now_s));
  RETURN_IF_ERROR(
      RenewLeaf(pki.webhook, "tributary-injector", options.webhook_names, pki, options, now_s));
  RETURN_IF_ERROR(
      RenewLeaf(pki.server, "tributary-control-plane", options.server_names, pki, options, now_s));
  return pki;
}

std::map<std::string, std::string> PkiToFiles(const Pki& pki) {
  return {{"ca.crt", pki.authority.certificate}, {"ca.key", pki.authority.key},
          {"next.crt", pki.next.certificate},    {"next.key", pki.next.key},
          {"previous.crt", pki.previous},        {"webhook.crt", pki.webhook.certificate},
          {"webhook.key", pki.webhook.key},      {"server.crt", pki.server.certificate},
          {"server.key", pki.server.key}};
}

Pki PkiFromFiles(const std::map<std::string, std::string>& files) {
  const auto at = [&](const char* name) {
    const auto found = files.find(name);
    return found == files.end() ? std::string() : found->second;
  };
  return {.authority = {at("ca.crt"), at("ca.key")},
          .next = {at("next.crt"), at("next.key")},
          .previous = at("previous.crt"),
          .webhook = {at("webhook.crt"), at("webhook.key")},
          .server = {at("server.crt"), at("server.key")}};
}

common::StatusOr<std::int64_t> ExpiryOf(const std::string& certificate) {
  const CertificatePtr parsed = ParseCertificate(certificate);
  if (!parsed) return common::InvalidArgument("holds no PEM certificate");
  return EndOf(*parsed);
}

}  // namespace cp

#include "control-plane/ctl/certificate.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <optional>

#include "common/names.h"
#include "common/rpc/identity.h"

namespace ctl {
namespace {

std::string TextOf(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<std::size_t>(ASN1_STRING_length(text))};
}

}  // namespace

common::StatusOr<std::string> CertificateIdentity(const std::string& pem_file) {
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(pem_file.c_str(), "r"), &BIO_free);
  const std::unique_ptr<X509, void (*)(X509*)> certificate(
      file ? PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr) : nullptr, &X509_free);
  if (!certificate) return common::InvalidArgument("{} holds no certificate in PEM form", pem_file);
  const std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      &GENERAL_NAMES_free);
  std::string first_dns;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI) {
      if (auto service = common::ServiceOfSpiffe(TextOf(name->d.ia5))) return *service;
    }
    if (name->type == GEN_DNS && first_dns.empty() &&
        common::ValidateServiceName(TextOf(name->d.ia5)).ok()) {
      first_dns = TextOf(name->d.ia5);
    }
  }
  return first_dns;
}

}  // namespace ctl

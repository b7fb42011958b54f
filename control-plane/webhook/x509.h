// X509: keys and certificates by OpenSSL, as PEM texts.
//
// Thread: any.  Lifetime: pure functions but for fresh keys and serial numbers.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/status.h"

namespace cp {

struct FreeOpenssl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using CertificatePtr = std::unique_ptr<X509, FreeOpenssl>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeOpenssl>;

// Null: not readable.
CertificatePtr ParseCertificate(const std::string& pem);
KeyPtr ParseKey(const std::string& pem);

struct CertificateRequest {
  std::string common_name;
  bool is_authority = false;
  std::vector<std::string> names = {};  // DNS names or IP addresses, of a leaf
  std::int64_t from_s = 0;              // Unix
  std::int64_t until_s = 0;
};
struct MadeCertificate {
  std::string certificate;  // PEM
  std::string key;          // PEM
};
// With a fresh key. Signed by `issuer`, or by itself when that is null.
common::StatusOr<MadeCertificate> MakeCertificate(const CertificateRequest& request, X509* issuer,
                                                  EVP_PKEY* issuer_key);

std::int64_t EndOf(const X509& certificate);  // Unix seconds
std::int64_t BeginOf(const X509& certificate);
// True if the certificate names exactly these.
bool Names(const X509& certificate, const std::vector<std::string>& names);
bool SignedBy(X509& certificate, X509& authority);

}  // namespace cp

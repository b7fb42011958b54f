#include "control-plane/webhook/x509.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>
#include <utility>

namespace cp {
namespace {

using common::Error;
using common::StatusCode;

std::unique_ptr<BIO, FreeOpenssl> ToBio(const std::string& text) {
  return std::unique_ptr<BIO, FreeOpenssl>(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

template <class Write>
std::string ToPem(const Write& write) {
  const std::unique_ptr<BIO, FreeOpenssl> bio(BIO_new(BIO_s_mem()));
  CHECK(bio && write(bio.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

bool AddExtension(X509& certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, &certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) return false;
  const bool added = X509_add_ext(&certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool IsAddress(const std::string& name) {
  std::array<unsigned char, 16> address{};
  return inet_pton(AF_INET, name.c_str(), address.data()) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address.data()) == 1;
}

bool AddExtensions(X509& certificate, X509* issuer, const CertificateRequest& request) {
  if (request.is_authority) {
    return AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE") &&
           AddExtension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           AddExtension(certificate, issuer, NID_subject_key_identifier, "hash");
  }
  std::string names;
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:*-";
  for (const std::string& name : request.names) {
    if (name.find_first_not_of(kPlain) != std::string::npos) return false;  // means more to OpenSSL
    names += fmt::format("{}{}:{}", names.empty() ? "" : ",", IsAddress(name) ? "IP" : "DNS", name);
  }
  return AddExtension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         AddExtension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         AddExtension(certificate, issuer, NID_ext_key_usage, "serverAuth") &&
         AddExtension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
         AddExtension(certificate, issuer, NID_subject_alt_name, names);
}

bool SetBasics(X509& certificate, const CertificateRequest& request) {
  std::array<unsigned char, 16> serial{};
  if (RAND_bytes(serial.data(), static_cast<int>(serial.size())) != 1) return false;
  serial[0] &= 0x7F;  // positive
  BIGNUM* number = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
  const bool numbered =
      number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(&certificate));
  BN_free(number);
  X509_NAME* const subject = X509_get_subject_name(&certificate);
  const auto* const name = reinterpret_cast<const unsigned char*>(request.common_name.data());
  return numbered && X509_set_version(&certificate, X509_VERSION_3) == 1 &&
         ASN1_TIME_set(X509_getm_notBefore(&certificate), request.from_s) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(&certificate), request.until_s) != nullptr &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, name,
                                    static_cast<int>(request.common_name.size()), -1, 0) == 1;
}

std::int64_t ToUnix(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? timegm(&parts) : 0;
}

std::string TextOf(const GENERAL_NAME& name) {
  if (name.type == GEN_DNS) {
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(name.d.dNSName)),
            static_cast<std::size_t>(ASN1_STRING_length(name.d.dNSName))};
  }
  if (name.type != GEN_IPADD) return "";
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(name.d.iPAddress) == 4 ? AF_INET : AF_INET6;
  const void* const bytes = ASN1_STRING_get0_data(name.d.iPAddress);
  return inet_ntop(family, bytes, text.data(), static_cast<socklen_t>(text.size())) == nullptr
             ? ""
             : text.data();
}

}  // namespace

CertificatePtr ParseCertificate(const std::string& pem) {
  CertificatePtr certificate(PEM_read_bio_X509(ToBio(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return certificate;
}

KeyPtr ParseKey(const std::string& pem) {
  const auto no_password = [](char*, int, int, void*) { return 0; };
  KeyPtr key(PEM_read_bio_PrivateKey(ToBio(pem).get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  return key;
}

common::StatusOr<MadeCertificate> MakeCertificate(const CertificateRequest& request, X509* issuer,
                                                  EVP_PKEY* issuer_key) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  const CertificatePtr certificate(X509_new());
  if (!key || !certificate) return Error(StatusCode::kInternal, "OpenSSL makes no key");
  X509* const signer = issuer == nullptr ? certificate.get() : issuer;
  const bool made = SetBasics(*certificate, request) &&
                    X509_set_pubkey(certificate.get(), key.get()) == 1 &&
                    X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) == 1 &&
                    AddExtensions(*certificate, signer, request) &&
                    X509_sign(certificate.get(), issuer_key == nullptr ? key.get() : issuer_key,
                              EVP_sha256()) > 0;
  ERR_clear_error();
  if (!made) {
    return Error(StatusCode::kInternal, "OpenSSL makes no certificate for {}; are its names good?",
                 request.common_name);
  }
  return MadeCertificate{
      .certificate = ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
      .key = ToPem([&](BIO* bio) {
        return PEM_write_bio_PKCS8PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
      })};
}

std::int64_t EndOf(const X509& certificate) { return ToUnix(X509_get0_notAfter(&certificate)); }
std::int64_t BeginOf(const X509& certificate) { return ToUnix(X509_get0_notBefore(&certificate)); }

bool Names(const X509& certificate, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  auto* const list = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(&certificate, NID_subject_alt_name, nullptr, nullptr));
  found.reserve(static_cast<std::size_t>(std::max(sk_GENERAL_NAME_num(list), 0)));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    found.push_back(TextOf(*sk_GENERAL_NAME_value(list, i)));
  }
  GENERAL_NAMES_free(list);
  std::vector<std::string> wanted = names;
  std::ranges::sort(found);
  std::ranges::sort(wanted);
  return found == wanted;
}

bool SignedBy(X509& certificate, X509& authority) {
  EVP_PKEY* const key = X509_get0_pubkey(&authority);
  const bool is_signed = key != nullptr && X509_verify(&certificate, key) == 1;
  ERR_clear_error();
  return is_signed;
}

}  // namespace cp

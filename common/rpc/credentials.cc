#include "common/rpc/credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "common/rpc/token.h"

namespace common {
namespace {

using grpc::experimental::FileWatcherCertificateProvider;

struct FreeOpenssl {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, FreeOpenssl>;

StatusOr<std::string> ReadFile(const char* what, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) {
    return InvalidArgument("{} {}: {}", what, path,
                           errno == 0 ? "empty or unreadable" : ErrnoText(errno));
  }
  return text.str();
}

Owned<BIO> ToBio(const std::string& text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// The first certificate of a PEM file.
StatusOr<Owned<X509>> ReadCertificate(const char* what, const std::string& path) {
  errno = 0;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(what, path));
  const Owned<BIO> bio = ToBio(text);
  Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!certificate) return InvalidArgument("{} {}: holds no PEM certificate", what, path);
  return certificate;
}

StatusOr<Owned<EVP_PKEY>> ReadKey(const char* what, const std::string& path) {
  errno = 0;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(what, path));
  const Owned<BIO> bio = ToBio(text);
  const auto no_password = [](char*, int, int, void*) { return 0; };
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  ERR_clear_error();
  if (!key) return InvalidArgument("{} {}: holds no PEM key without password", what, path);
  return key;
}

Status CheckPair(const TlsFiles& files) {
  ASSIGN_OR_RETURN(const Owned<X509> certificate, ReadCertificate("TLS certificate", files.cert));
  ASSIGN_OR_RETURN(const Owned<EVP_PKEY> key, ReadKey("TLS key", files.key));
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return InvalidArgument("TLS key {} does not belong to certificate {}", files.key, files.cert);
  }
  return OkStatus();
}

std::shared_ptr<FileWatcherCertificateProvider> Watch(const TlsFiles& files) {
  return std::make_shared<FileWatcherCertificateProvider>(
      files.key, files.cert, files.ca, static_cast<unsigned>(files.refresh.count()));
}

}  // namespace

StatusOr<std::shared_ptr<grpc::ServerCredentials>> ServerTls(const TlsFiles& files) {
  CHECK(!files.ca.empty() && !files.cert.empty() && !files.key.empty());
  RETURN_IF_ERROR(ReadCertificate("TLS client CA", files.ca).status());
  RETURN_IF_ERROR(CheckPair(files));
  grpc::experimental::TlsServerCredentialsOptions options(Watch(files));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(files.client_may_lack_certificate
                                    ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
                                    : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> ClientTls(const TlsFiles& files) {
  CHECK(files.cert.empty() == files.key.empty());
  RETURN_IF_ERROR(ReadCertificate("TLS CA", files.ca).status());
  if (!files.cert.empty()) RETURN_IF_ERROR(CheckPair(files));
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(Watch(files));
  options.watch_root_certs();
  if (!files.cert.empty()) options.watch_identity_key_cert_pairs();
  auto credentials = grpc::experimental::TlsCredentials(options);
  return files.token.empty() ? credentials : WithTokenFile(credentials, files.token);
}

}  // namespace common

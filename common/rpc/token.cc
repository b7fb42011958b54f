#include "common/rpc/token.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "common/limits.h"
#include "common/rpc/status.h"

namespace common {
namespace {

constexpr std::size_t kTokenBytesMax = 16 * kKiB;

StatusOr<std::string> ReadToken(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::string token((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (token.empty()) return InvalidArgument("token file {}: empty or unreadable", file);
  const bool plain = token.find_first_of(" \t\r\n") == std::string::npos;
  if (!plain || token.size() > kTokenBytesMax) {
    return InvalidArgument("token file {}: holds no token: one line, at most {} bytes", file,
                           kTokenBytesMax);
  }
  return token;
}

class TokenFile final : public grpc::MetadataCredentialsPlugin {
 public:
  explicit TokenFile(std::string file) : file_(std::move(file)) {}
  bool IsBlocking() const override { return false; }  // a small file in memory
  const char* GetType() const override { return "tributary-token-file"; }
  grpc::Status GetMetadata(grpc::string_ref, grpc::string_ref, const grpc::AuthContext&,
                           std::multimap<std::string, std::string>* metadata) override {
    const StatusOr<std::string> token = ReadToken(file_);
    if (!token.ok()) {
      return {grpc::StatusCode::UNAVAILABLE, std::string(Message(token.status()))};
    }
    metadata->emplace(kAuthorizationKey, std::string(kBearer) + *token);
    return grpc::Status::OK;
  }

 private:
  const std::string file_;
};

class CheckTokens final : public grpc::AuthMetadataProcessor {
 public:
  explicit CheckTokens(TokenVerifier& verifier) : verifier_(verifier) {}
  grpc::Status Process(const InputMetadata& metadata, grpc::AuthContext*, OutputMetadata*,
                       OutputMetadata*) override {
    const auto token = TokenOf(metadata);
    if (!token.ok()) return ToGrpc(token.status());
    if (!*token) return grpc::Status::OK;
    return ToGrpc(verifier_.Verify(**token).status());
  }

 private:
  TokenVerifier& verifier_;
};

}  // namespace

StatusOr<std::optional<std::string>> TokenOf(const CallMetadata& metadata) {
  const auto [first, last] = metadata.equal_range(kAuthorizationKey);
  if (first == last) return std::optional<std::string>();
  const std::string_view value = ToView(first->second);
  if (std::next(first) != last || !value.starts_with(kBearer) || value.size() == kBearer.size() ||
      value.size() > kTokenBytesMax) {
    return Error(StatusCode::kUnauthenticated, "metadata {} must be given once, as \"{}<token>\"",
                 kAuthorizationKey, kBearer);
  }
  return std::optional<std::string>(value.substr(kBearer.size()));
}

std::shared_ptr<grpc::AuthMetadataProcessor> CheckTokensBy(TokenVerifier& verifier) {
  return std::make_shared<CheckTokens>(verifier);
}

StatusOr<std::shared_ptr<grpc::ChannelCredentials>> WithTokenFile(
    const std::shared_ptr<grpc::ChannelCredentials>& channel, const std::string& file) {
  RETURN_IF_ERROR(ReadToken(file).status());
  return grpc::CompositeChannelCredentials(
      channel, grpc::MetadataCredentialsFromPlugin(std::make_unique<TokenFile>(file)));
}

}  // namespace common

#include "common/rpc/credentials.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>

#include "common/rpc/identity.h"
#include "common/rpc/status.h"
#include "common/rpc/test_pki.h"
#include "common/rpc/token.h"
#include "tributary/v1/reader.grpc.pb.h"

namespace common {
namespace {

using testing::HasSubstr;
using tributary::v1::GetRequest;
using tributary::v1::GetResponse;

// Answers with the identity of the caller.
class WhoAmI final : public tributary::v1::Reader::Service {
 public:
  explicit WhoAmI(Trust trust) : trust_(trust) {}
  grpc::Status Get(grpc::ServerContext* context, const GetRequest*,
                   GetResponse* response) override {
    const StatusOr<std::string> identity = CallIdentity(*context, trust_);
    if (!identity.ok()) return ToGrpc(identity.status());
    response->set_epoch(*identity);
    return grpc::Status::OK;
  }

 private:
  const Trust trust_;
};

class Server {
 public:
  Server(Trust trust, const std::shared_ptr<grpc::ServerCredentials>& credentials,
         TokenVerifier* verifier = nullptr)
      : service_(trust) {
    if (verifier != nullptr) credentials->SetAuthMetadataProcessor(CheckTokensBy(*verifier));
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", credentials, &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    CHECK(server_ != nullptr);
  }
  ~Server() { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return fmt::format("localhost:{}", port_); }

 private:
  WhoAmI service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// On a connection of its own; `claimed`: metadata, if not empty.
StatusOr<std::string> Ask(const std::string& address,
                          const std::shared_ptr<grpc::ChannelCredentials>& credentials,
                          const std::string& claimed = "") {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  const auto stub =
      tributary::v1::Reader::NewStub(grpc::CreateCustomChannel(address, credentials, arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  if (!claimed.empty()) context.AddMetadata(kServiceMetadataKey, claimed);
  GetResponse response;
  const grpc::Status status = stub->Get(&context, {}, &response);
  if (!status.ok()) return FromGrpc(status);
  return response.epoch();
}

// Token "<service>-token" proves <service>.
class FakeVerifier final : public TokenVerifier {
 public:
  StatusOr<std::string> Verify(std::string_view token) override {
    ++verified;
    if (!token.ends_with("-token")) return absl::UnauthenticatedError("bad token");
    return std::string(token.substr(0, token.size() - 6));
  }
  StatusOr<std::string> Remembered(std::string_view token) const override {
    if (verified == 0) return absl::UnavailableError("never asked");
    return std::string(token.substr(0, token.size() - 6));
  }
  std::atomic<int> verified{0};
};

class TlsTest : public testing::Test {
 protected:
  void SetUp() override {
    pki_.MakeCa("ca");
    pki_.MakeCa("other");
    pki_.MakeCertificate("server", "ca", "DNS:localhost");
    pki_.MakeCertificate("spiffe", "ca", "URI:spiffe://d/ns/shop/sa/checkout,DNS:other.name");
    pki_.MakeCertificate("dns", "ca", "DNS:*.wild,DNS:billing.finance");
    pki_.MakeCertificate("nameless", "ca", "DNS:NOT_A_SERVICE");
    pki_.MakeCertificate("stranger", "other", "URI:spiffe://d/ns/shop/sa/checkout");
  }
  StatusOr<std::string> AskAs(const Server& server, const std::string& ca, const std::string& name,
                              const std::string& claimed = "") {
    const auto credentials = ClientTls(pki_.Files(ca, name));
    CHECK(credentials.ok());
    return Ask(server.address(), *credentials, claimed);
  }

  TestPki pki_;
};

TEST_F(TlsTest, IdentityComesFromTheCertificate) {
  const Server server(Trust::kCertificates, *ServerTls(pki_.Files("ca", "server")));
  EXPECT_EQ(*AskAs(server, "ca", "spiffe"), "checkout.shop");
  EXPECT_EQ(*AskAs(server, "ca", "dns"), "billing.finance");
  EXPECT_EQ(*AskAs(server, "ca", "dns", "billing.finance"), "billing.finance");
  EXPECT_EQ(AskAs(server, "ca", "dns", "checkout.shop").status().code(),
            StatusCode::kPermissionDenied);
  EXPECT_EQ(AskAs(server, "ca", "nameless").status().code(), StatusCode::kUnauthenticated);
}

TEST_F(TlsTest, StrangersGetNoConnection) {
  const Server server(Trust::kCertificates, *ServerTls(pki_.Files("ca", "server")));
  EXPECT_EQ(AskAs(server, "ca", "stranger").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(AskAs(server, "ca", "").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(AskAs(server, "other", "spiffe").status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Ask(server.address(), grpc::InsecureChannelCredentials()).status().code(),
            StatusCode::kUnavailable);
}

TEST_F(TlsTest, AReplacedCertificateServesNewConnections) {
  const Server server(Trust::kCertificates, *ServerTls(pki_.Files("ca", "server")));
  // Trusts the new authority only; shows a certificate of the old one, which the server asks for.
  TlsFiles files = pki_.Files("other", "spiffe");
  ASSERT_EQ(Ask(server.address(), *ClientTls(files)).status().code(), StatusCode::kUnavailable);
  pki_.MakeCertificate("server", "other", "DNS:localhost");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  StatusOr<std::string> answer = Ask(server.address(), *ClientTls(files));
  while (!answer.ok() && std::chrono::steady_clock::now() < deadline) {
    answer = Ask(server.address(), *ClientTls(files));
  }
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, "checkout.shop");
}

TEST_F(TlsTest, BadFilesAreNamedAtStart) {
  std::ofstream(pki_.Path("text.crt")) << "not a certificate";
  struct Case {
    TlsFiles files;
    std::string want;
  };
  const TlsFiles good = pki_.Files("ca", "server");
  std::vector<Case> cases(5, Case{good, ""});
  cases[0] = {{.ca = pki_.Path("absent"), .cert = good.cert, .key = good.key},
              "absent: No such file"};
  cases[1] = {{.ca = pki_.Path("text.crt"), .cert = good.cert, .key = good.key},
              "no PEM certificate"};
  cases[2] = {{.ca = good.ca, .cert = pki_.Path("absent"), .key = good.key},
              "absent: No such file"};
  cases[3] = {{.ca = good.ca, .cert = good.cert, .key = good.cert}, "no PEM key"};
  cases[4] = {{.ca = good.ca, .cert = good.cert, .key = pki_.Path("dns.key")}, "does not belong"};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.want);
    const Status server = ServerTls(c.files).status();
    EXPECT_EQ(server.code(), StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(Message(server)), HasSubstr(c.want));
    EXPECT_EQ(Message(ClientTls(c.files).status()).size() > 0, true);
  }
}

TEST(InsecureTest, MetadataIsBelieved) {
  const Server server(Trust::kMetadata, grpc::InsecureServerCredentials());
  const auto channel = grpc::InsecureChannelCredentials();
  EXPECT_EQ(*Ask(server.address(), channel, "checkout.shop"), "checkout.shop");
  EXPECT_EQ(Ask(server.address(), channel).status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(Ask(server.address(), channel, "Bad Name").status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(TlsTest, ATokenProvesIdentityWhereCertificatesAreOptional) {
  FakeVerifier verifier;
  TlsFiles server_files = pki_.Files("ca", "server");
  server_files.client_may_lack_certificate = true;
  const Server server({Trust::kCertificates, &verifier}, *ServerTls(server_files), &verifier);
  TlsFiles files = pki_.Files("ca", "");
  files.token = pki_.Path("token");
  EXPECT_EQ(ClientTls(files).status().code(), StatusCode::kInvalidArgument);
  std::ofstream(files.token) << "billing.finance-token\n";
  const auto credentials = *ClientTls(files);
  EXPECT_EQ(*Ask(server.address(), credentials), "billing.finance");
  EXPECT_EQ(*Ask(server.address(), credentials, "billing.finance"), "billing.finance");
  EXPECT_EQ(Ask(server.address(), credentials, "checkout.shop").status().code(),
            StatusCode::kPermissionDenied);
  // The kubelet replaces the file; the next call has the new token.
  std::ofstream(files.token) << "checkout.shop-token\n";
  EXPECT_EQ(*Ask(server.address(), credentials), "checkout.shop");
  std::ofstream(files.token) << "forged";
  EXPECT_EQ(Ask(server.address(), credentials).status().code(), StatusCode::kUnauthenticated);
  std::ofstream(files.token) << "two words";
  EXPECT_EQ(Ask(server.address(), credentials).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(verifier.verified, 5);
  // Certificates work beside tokens; nothing at all does not.
  EXPECT_EQ(*AskAs(server, "ca", "spiffe"), "checkout.shop");
  EXPECT_EQ(AskAs(server, "ca", "").status().code(), StatusCode::kUnauthenticated);
  EXPECT_EQ(AskAs(server, "ca", "stranger").status().code(), StatusCode::kUnavailable);
}

}  // namespace
}  // namespace common

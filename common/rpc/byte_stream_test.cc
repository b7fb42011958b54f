// Goal: a stream delivers, ends once, and can be let go of in any state – also when it holds the
// program's last channel, which made gRPC abort when that went on one of its own threads.
#include "common/rpc/byte_stream.h"

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "common/mailbox.h"

namespace common {
namespace {

constexpr std::chrono::seconds kDeadline{60};

// Answers each message by itself; ends the stream after "end".
class EchoReactor final : public grpc::ServerGenericBidiReactor {
 public:
  EchoReactor() { StartRead(&buffer_); }

 private:
  void OnReadDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::OK);
    grpc::Slice slice;
    ended_ = buffer_.TrySingleSlice(&slice).ok() &&
             std::string(slice.begin(), slice.end()) == "end";
    if (ended_) return Finish(grpc::Status(grpc::StatusCode::ABORTED, "asked to"));
    StartWrite(&buffer_);
  }
  void OnWriteDone(bool ok) override {
    if (ok) return StartRead(&buffer_);
    Finish(grpc::Status::CANCELLED);  // the client has gone; without it the server never ends
  }
  void OnDone() override { delete this; }

  grpc::ByteBuffer buffer_;
  bool ended_ = false;
};

class EchoService final : public grpc::CallbackGenericService {
  grpc::ServerGenericBidiReactor* CreateReactor(grpc::GenericCallbackServerContext*) override {
    return new EchoReactor;
  }
};

class EchoServer {
 public:
  EchoServer() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterCallbackGenericService(&service_);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }

 private:
  EchoService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// A stream and what its handlers were told.
class Client {
 public:
  explicit Client(const std::string& address)
      : stream_(ByteStream::Open(
            DialStream(address, grpc::InsecureChannelCredentials()), "/test.Echo/Echo", {},
            {.on_message = [this](std::shared_ptr<const std::string> bytes) { Post(*bytes); },
             .on_closed = [this](Status status) { Post("closed: " + status.ToString()); }})) {}

  ByteStream& stream() { return *stream_; }
  void Drop() { stream_.reset(); }
  std::vector<std::string> TakeAll() { return told_.TakeAll(); }
  std::string Next() {
    if (waiting_.empty()) waiting_ = told_.WaitAll(kDeadline);
    if (waiting_.empty()) return "nothing came";
    const std::string next = waiting_.front();
    waiting_.erase(waiting_.begin());
    return next;
  }

 private:
  void Post(std::string what) { EXPECT_TRUE(told_.Post(std::move(what))); }

  Mailbox<std::string> told_{1024};
  std::vector<std::string> waiting_;
  std::unique_ptr<ByteStream> stream_;
};

TEST(ByteStreamTest, CarriesMessagesInOrder) {
  EchoServer server;
  Client client(server.address());
  for (int i = 0; i < 100; ++i) client.stream().Write(std::to_string(i));
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(client.Next(), std::to_string(i));
    client.stream().ReadNext();
  }
}

TEST(ByteStreamTest, TellsTheServersReasonOnce) {
  EchoServer server;
  Client client(server.address());
  client.stream().Write("end");
  EXPECT_EQ(client.Next(), "closed: ABORTED: asked to");
  client.stream().Write("too late");
  client.stream().ReadNext();
  client.stream().Cancel();
  client.Drop();
  EXPECT_TRUE(client.TakeAll().empty());
}

TEST(ByteStreamTest, NobodyThereIsUnavailable) {
  Client client("127.0.0.1:1");
  EXPECT_EQ(client.Next().substr(0, 19), "closed: UNAVAILABLE");
}

TEST(ByteStreamTest, DestructorEndsTheCallAndIsLast) {
  EchoServer server;
  Client client(server.address());
  client.stream().Write("a");
  ASSERT_EQ(client.Next(), "a");
  client.Drop();
  const std::vector<std::string> told = client.TakeAll();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].substr(0, 17), "closed: CANCELLED");
}

TEST(ByteStreamTest, LastChannelMayGoInAnyState) {
  const std::uint32_t seed = std::random_device()();
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  std::mt19937 random(seed);
  std::string address;
  {
    EchoServer server;
    address = server.address();
    for (int round = 0; round < 200; ++round) {
      Client client(address);
      client.stream().Write("a");
      if (random() % 2 == 0) client.Next();
      if (random() % 3 == 0) client.stream().Cancel();
      if (random() % 3 == 0) client.stream().Write("end");
    }
    Client left(address);
    left.stream().Write("a");
    ASSERT_EQ(left.Next(), "a");
    server.Stop();
    left.stream().ReadNext();
    EXPECT_EQ(left.Next().substr(0, 6), "closed");
  }
  for (int round = 0; round < 100; ++round) Client nobody(address);
}

}  // namespace
}  // namespace common

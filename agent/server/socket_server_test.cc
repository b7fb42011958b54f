// The server with real sockets: hiredis, raw bytes, limits, the socket file, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "agent/server/server_fixture.h"
#include "agent/server/socket_path.h"

namespace agent {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// Everything holds with one loop and with several.
class SocketServerTest : public ServerFixture, public testing::WithParamInterface<std::size_t> {
 protected:
  void SetUp() override {
    threads_ = GetParam();
    ServerFixture::SetUp();
  }
};
INSTANTIATE_TEST_SUITE_P(Threads, SocketServerTest, testing::Values(1, 3));

struct Freed {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
  void operator()(redisContext* context) const { redisFree(context); }
};
using Reply = std::unique_ptr<redisReply, Freed>;
using Context = std::unique_ptr<redisContext, Freed>;

Reply Call(const Context& context, const char* command) {
  return Reply(static_cast<redisReply*>(redisCommand(context.get(), command)));
}

// The loop's timers go by libuv's time, deadlines by the server's clock: here half as fast.
class SlowClock final : public common::Clock {
 public:
  common::MonotonicTime Now() const override { return start_ + (clock_.Now() - start_) / 2; }
  std::int64_t UnixMillis() const override { return clock_.UnixMillis(); }

 private:
  const common::SystemClock clock_;
  const common::MonotonicTime start_ = clock_.Now();
};

TEST_P(SocketServerTest, AWaitEndsThoughItsTimerCameBeforeTheDeadline) {
  const SlowClock slow;
  clock_ = &slow;
  Start();
  auto status = std::make_shared<AgentStatus>();
  status->copies = {{.collection = {"ds", ""}}};
  board_.Put(status);
  EXPECT_THAT(Ask("TRIB.WAIT ds 999 20\r\n", 8), StartsWith("-TIMEOUT"));
  StopServer();
}

TEST_P(SocketServerTest, HiredisWritesReadsAndListens) {
  Start();
  const Context context(redisConnectUnix(options_.path.c_str()));
  ASSERT_EQ(context->err, 0) << context->errstr;
  EXPECT_STREQ(Call(context, "SET ds/a 1")->str, "OK");
  EXPECT_STREQ(Call(context, "GET ds/a")->str, "1");
  EXPECT_EQ(Call(context, "GET ds/b")->type, REDIS_REPLY_NIL);
  EXPECT_EQ(Call(context, "DEL ds/a ds/b")->integer, 1);
  EXPECT_THAT(Call(context, "GET other/b")->str, StartsWith("NOTSUBSCRIBED "));
  EXPECT_THAT(Call(context, "SET other/b 1")->str, StartsWith("NODATASET "));
  EXPECT_STREQ(Call(context, "MULTI")->str, "OK");
  EXPECT_STREQ(Call(context, "MSET ds/x 1 ds/y 2")->str, "QUEUED");
  EXPECT_STREQ(Call(context, "GET ds/y")->str, "QUEUED");
  const Reply exec = Call(context, "EXEC");
  ASSERT_EQ(exec->elements, 2u);
  EXPECT_STREQ(exec->element[1]->str, "2");

  const Context listener(redisConnectUnix(options_.path.c_str()));
  EXPECT_EQ(Call(listener, "PSUBSCRIBE __keyspace@0__:ds/*")->elements, 3u);
  EXPECT_STREQ(Call(context, "SET ds/n 1")->str, "OK");
  void* message = nullptr;
  ASSERT_EQ(redisGetReply(listener.get(), &message), REDIS_OK);
  const Reply notice(static_cast<redisReply*>(message));
  EXPECT_STREQ(notice->element[2]->str, "__keyspace@0__:ds/n");
  EXPECT_STREQ(notice->element[3]->str, "set");
}

TEST_P(SocketServerTest, ALongPipelineOfWritesAndReads) {
  Start();
  RawClient client(options_.path);
  std::string request;
  std::string want;
  for (int i = 0; i < 500; ++i) {
    request += "SET ds/k" + std::to_string(i % 7) + " " + std::to_string(i) + "\r\n";
    want += "+OK\r\n";
    if (i % 50 == 49) {
      request += "GET ds/k" + std::to_string(i % 7) + "\r\n";
      want += "$" + std::to_string(std::to_string(i).size()) + "\r\n" + std::to_string(i) + "\r\n";
    }
  }
  client.Write(request);
  EXPECT_EQ(client.Read(want.size()), want);
}

TEST_P(SocketServerTest, AHalfClosedClientIsAnswered) {
  Start();
  RawClient client(options_.path);
  client.Write("SET ds/a 1\r\nGET ds/a\r\n");
  client.EndOutput();
  EXPECT_EQ(client.ReadAll(), "+OK\r\n$1\r\n1\r\n");
}

TEST_P(SocketServerTest, HttpIsToldAndClosed) {
  Start();
  RawClient client(options_.path);
  client.Write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), HasSubstr("not HTTP"));
}

TEST_P(SocketServerTest, ClientsBeyondTheLimitAreToldAndClosed) {
  options_.clients_max = 3;
  Start();
  {
    RawClient a(options_.path), b(options_.path), c(options_.path);
    for (RawClient* client : {&a, &b, &c}) {
      client->Write("PING\r\n");
      ASSERT_EQ(client->Read(7), "+PONG\r\n");
    }
    RawClient d(options_.path);
    EXPECT_EQ(d.ReadAll(), "-ERR max number of clients reached\r\n");
    EXPECT_EQ(server_->TotalStats()->clients_refused.Get(), 1u);
  }
  EXPECT_TRUE(Eventually([&] { return server_->TotalStats()->clients_now.Get() == 0; }));
  EXPECT_EQ(Ask("PING\r\n", 7), "+PONG\r\n");
}

// Far more replies than kernel buffers and the soft limit hold: the client is not read from until
// it takes them, and gets every one.
TEST_P(SocketServerTest, ASlowReaderIsHeldBackAndLosesNothing) {
  options_.output = {.soft = 64 * common::kKiB, .max = 4 * common::kMiB};
  Start();
  const std::string value(100'000, 'v');
  ASSERT_EQ(Ask("SET ds/big " + value.substr(0, 60'000) + "\r\n", 5), "+OK\r\n");
  RawClient client(options_.path);
  const std::string request = "GET ds/big\r\n";
  std::size_t requests = 0;
  const auto bytes_in = [&] { return server_->TotalStats()->bytes_in.Get(); };
  std::string pending;
  for (std::uint64_t before = 0;;) {
    if (pending.empty()) pending = request;
    const std::size_t sent = client.WriteSome(pending);
    pending.erase(0, sent);
    if (sent > 0 && pending.empty()) ++requests;
    if (requests >= 20'000) break;
    if (sent == 0) {  // the pipe is full; is the server still reading?
      poll(nullptr, 0, 50);
      if (std::exchange(before, bytes_in()) == bytes_in()) break;
    }
  }
  EXPECT_GT(requests, 100u);
  EXPECT_EQ(server_->TotalStats()->clients_over_output_limit.Get(), 0u);
  // Others are served meanwhile.
  EXPECT_EQ(Ask("PING\r\n", 7), "+PONG\r\n");
  const std::string reply = "$60000\r\n" + value.substr(0, 60'000) + "\r\n";
  for (std::size_t i = 0; i < requests; ++i) ASSERT_EQ(client.Read(reply.size()), reply) << i;
}

TEST_P(SocketServerTest, ASubscriberThatDoesNotReadIsClosedAtTheHardLimit) {
  options_.output = {.soft = 16 * common::kKiB, .max = 64 * common::kKiB};
  Start();
  RawClient listener(options_.path);
  listener.Write("PSUBSCRIBE *\r\n");
  ASSERT_EQ(listener.Read(4), "*3\r\n");
  std::string batch = "*1001\r\n$4\r\nMSET\r\n";
  for (int i = 0; i < 500; ++i) {
    batch += "$306\r\nds/" + std::string(300, 'k') + std::to_string(100 + i) + "\r\n$1\r\nv\r\n";
  }
  RawClient writer(options_.path);
  EXPECT_TRUE(Eventually([&] {
    writer.Write(batch);
    EXPECT_EQ(writer.Read(5), "+OK\r\n");
    return server_->TotalStats()->clients_over_output_limit.Get() > 0;
  }));
}

TEST_P(SocketServerTest, ClientsMayGoWhileTheirWritesAreUnderWay) {
  Start();
  port_.Gate();
  {
    RawClient client(options_.path);
    client.Write("SET ds/a 1\r\nSET ds/b 1\r\n");
    ASSERT_TRUE(Eventually([&] { return port_.held() == 2; }));
  }
  RawClient dead(options_.path);
  dead.Write("QUIT\r\n");
  EXPECT_EQ(dead.ReadAll(), "+OK\r\n");
  port_.Open();
  EXPECT_TRUE(Eventually([&] {
    RawClient client(options_.path);
    client.Write("GET ds/b\r\nQUIT\r\n");
    return client.ReadAll() == "$1\r\n1\r\n+OK\r\n";
  }));
}

TEST_P(SocketServerTest, StopAnswersWhatHasComeAndRemovesTheFile) {
  Start();
  port_.Gate();
  RawClient client(options_.path);
  client.Write("SET ds/a 1\r\n");
  RawClient idle(options_.path);
  ASSERT_TRUE(Eventually([&] { return port_.held() == 1; }));
  server_->Stop();
  EXPECT_EQ(idle.ReadAll(), "");
  port_.Open();
  EXPECT_EQ(client.ReadAll(), "+OK\r\n");
  server_->Join();
  EXPECT_FALSE(std::filesystem::exists(options_.path));
  for (std::size_t i = 0; i < threads_; ++i) {
    EXPECT_FALSE(server_->loop(i).Ask([](Services&) {}));
  }
}

TEST_P(SocketServerTest, StopDoesNotWaitForEver) {
  options_.drain_max = std::chrono::milliseconds(50);
  Start();
  port_.Gate();
  RawClient client(options_.path);
  client.Write("SET ds/a 1\r\n");
  ASSERT_TRUE(Eventually([&] { return port_.held() == 1; }));
  server_->Stop();
  server_->Join();
  EXPECT_EQ(client.ReadAll(), "");
  port_.Open();  // the outcome comes when nobody waits for it
}

// Goal: a snapshot that a sleeping loop holds keeps pages from being used again.
// How much 300 commits make the file grow is told by a snapshot that is held. A loop may be made to
// wait by the system in the middle of its turn: that is no other round's growth.
TEST_P(SocketServerTest, LoopsThatNobodyAsksLetTheFileStaySmall) {
  Start();
  bool stays = false;
  for (int round = 0; round < 20 && !stays; ++round) {
    const std::size_t before = cache_->bytes_used();
    for (int i = 0; i < 300; ++i) {
      const auto done = std::make_shared<common::Mailbox<int>>(1);
      port_.inner->Submit(
          {.writes = {{.dataset = "ds", .key = "k", .value = std::string(1000, 'v')}}},
          [done](const WriteOutcome& outcome) { (void)done->Post(outcome.status.ok()); });
      ASSERT_THAT(done->WaitAll(std::chrono::seconds(30)), testing::ElementsAre(1));
    }
    stays = cache_->bytes_used() - before < 256 * common::kKiB;
  }
  EXPECT_TRUE(stays);
}

TEST_P(SocketServerTest, QuestionsRunOnTheLoop) {
  Start();
  RawClient client(options_.path);
  client.Write("CLIENT SETNAME joe\r\n");
  ASSERT_EQ(client.Read(5), "+OK\r\n");
  const auto answers = std::make_shared<common::Mailbox<std::string>>(1);
  ASSERT_TRUE(server_->loop(0).Ask([answers](Services& services) {
    (void)answers->Post(services.sessions.begin()->second->client().name);
  }));
  EXPECT_THAT(answers->WaitAll(std::chrono::seconds(30)), testing::ElementsAre("joe"));
}

// --- the socket file ----------------------------------------------------------------------------

TEST_P(SocketServerTest, TheFileHasTheModeAskedFor) {
  options_.mode = 0600;
  Start();
  struct stat info {};
  ASSERT_EQ(stat(options_.path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0600u);
}

TEST_P(SocketServerTest, ALiveSocketIsNotTakenOver) {
  Start();
  const common::Status status = PrepareSocketPath(options_.path);
  EXPECT_EQ(status.code(), common::StatusCode::kFailedPrecondition) << status;
  EXPECT_THAT(std::string(common::Message(status)), HasSubstr("another process listens on"));
  EXPECT_EQ(Ask("PING\r\n", 7), "+PONG\r\n");
}

TEST_P(SocketServerTest, AStaleSocketIsReplaced) {
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  options_.path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
  ASSERT_TRUE(std::filesystem::exists(options_.path));
  Start();
  EXPECT_EQ(Ask("PING\r\n", 7), "+PONG\r\n");
}

TEST_P(SocketServerTest, WhatIsNotASocketIsLeftAlone) {
  std::ofstream(options_.path) << "precious";
  const common::Status status = PrepareSocketPath(options_.path);
  EXPECT_EQ(status.code(), common::StatusCode::kInvalidArgument) << status;
  EXPECT_TRUE(std::filesystem::exists(options_.path));
  std::filesystem::remove(options_.path);
}

TEST(SocketPathTest, LengthAndDirectory) {
  EXPECT_EQ(PrepareSocketPath("").code(), common::StatusCode::kInvalidArgument);
  EXPECT_EQ(PrepareSocketPath("/" + std::string(107, 'x')).code(),
            common::StatusCode::kInvalidArgument);
  TempDir dir;
  EXPECT_EQ(PrepareSocketPath(dir.path() + "/new/deep/agent.sock"), common::OkStatus());
  EXPECT_TRUE(std::filesystem::is_directory(dir.path() + "/new/deep"));
}

}  // namespace
}  // namespace agent

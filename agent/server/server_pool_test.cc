// An agent with several loops on a real socket: whichever of them a client is on must not matter.
#include "agent/server/server_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/server/server_fixture.h"

namespace agent {
namespace {

using testing::HasSubstr;

class ServerPoolTest : public ServerFixture {
 protected:
  void SetUp() override {
    threads_ = 3;
    ServerFixture::SetUp();
  }

  // One client on each loop: those that come first go in turn.
  void Connect() {
    for (std::size_t loop = 0; loop < threads_; ++loop) {
      clients_.push_back(std::make_unique<RawClient>(options_.path));
      ASSERT_EQ(Call(*clients_.back(), "PING", 7), "+PONG\r\n");
      ASSERT_EQ(server_->loop(loop).stats().clients_now.Get(), 1u);
    }
  }
  static std::string Call(RawClient& client, const std::string& command, std::size_t reply_bytes) {
    client.Write(command + "\r\n");
    return client.Read(reply_bytes);
  }
  static void Expect(RawClient& client, const std::string& command, const std::string& reply) {
    EXPECT_EQ(Call(client, command, reply.size()), reply) << command;
  }
  static std::string CallForBulk(RawClient& client, const std::string& command) {
    client.Write(command + "\r\n");
    return ReadBulk(client);
  }
  // A bulk, whatever its size.
  static std::string ReadBulk(RawClient& client) {
    std::string size;
    for (std::string c = client.Read(1); c != "\n" && !c.empty(); c = client.Read(1)) size += c;
    EXPECT_EQ(size.substr(0, 1), "$");
    std::string text = client.Read(std::stoul(size.substr(1)) + 2);
    text.resize(text.size() - std::min<std::size_t>(text.size(), 2));
    return text;
  }
  static std::string Message(const std::string& channel, const std::string& text) {
    return "*3\r\n$7\r\nmessage\r\n" + Bulk(channel) + Bulk(text);
  }
  static std::string Bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }

  std::vector<std::unique_ptr<RawClient>> clients_;
};

TEST_F(ServerPoolTest, ClientsAreSpreadAndGoWhereTheFewestAre) {
  Start();
  Connect();
  clients_.erase(clients_.begin() + 1);
  const auto clients_of = [&](std::size_t loop) {
    return server_->loop(loop).stats().clients_now.Get();
  };
  ASSERT_TRUE(Eventually([&] { return clients_of(1) == 0; }));
  RawClient next(options_.path);
  Expect(next, "PING", "+PONG\r\n");
  EXPECT_EQ(clients_of(1), 1u);
  EXPECT_EQ(server_->TotalStats()->clients_total.Get(), 4u);
}

TEST_F(ServerPoolTest, TheLimitIsForAllLoops) {
  options_.clients_max = 4;
  Start();
  Connect();
  RawClient fourth(options_.path);
  Expect(fourth, "PING", "+PONG\r\n");
  RawClient fifth(options_.path);
  EXPECT_EQ(fifth.ReadAll(), "-ERR max number of clients reached\r\n");
  EXPECT_EQ(server_->TotalStats()->clients_refused.Get(), 1u);
  clients_.pop_back();  // of another loop than the one that accepts
  EXPECT_TRUE(Eventually([&] { return Ask("PING\r\n", 7) == "+PONG\r\n"; }));
}

TEST_F(ServerPoolTest, ClientListAndInfoTellOfAllLoops) {
  Start();
  Connect();
  Expect(*clients_[2], "CLIENT SETNAME last", "+OK\r\n");
  for (std::size_t i = 0; i < threads_; ++i) {
    Expect(*clients_[i], "CLIENT ID", ":" + std::to_string(i + 1) + "\r\n");
    const std::string list = CallForBulk(*clients_[i], "CLIENT LIST");
    EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 3) << list;
    EXPECT_TRUE(list.starts_with("id=1 ")) << list;
    EXPECT_THAT(list, HasSubstr("\nid=2 "));
    EXPECT_THAT(list.substr(list.find("\nid=3 ")), HasSubstr(" name=last "));
    const std::string info = CallForBulk(*clients_[i], "INFO");
    EXPECT_THAT(info, HasSubstr("connected_clients:3\r\n"));
    EXPECT_THAT(info, HasSubstr("total_connections_received:3\r\n"));
  }
}

TEST_F(ServerPoolTest, AScanGoesOnAtAnyConnection) {
  Start();
  Connect();
  Expect(*clients_[0], "MSET ds/a 1 ds/b 1 ds/c 1 ds/d 1 ds/e 1 ds/f 1 ds/g 1", "+OK\r\n");
  std::string cursor = "0";
  std::string keys;
  for (std::size_t call = 0; call < 7; ++call) {
    RawClient& client = *clients_[call % threads_];
    EXPECT_EQ(Call(client, "SCAN " + cursor + " COUNT 1", 4), "*2\r\n");
    cursor = ReadBulk(client);
    EXPECT_EQ(client.Read(4), "*1\r\n");
    keys += ReadBulk(client).substr(3);  // behind "ds/"
  }
  EXPECT_EQ(cursor, "0");
  EXPECT_EQ(keys, "abcdefg");
}

TEST_F(ServerPoolTest, NoticesReachEveryLoop) {
  Start();
  Connect();
  const std::string channel = "__keyspace@0__:ds/k";
  for (const auto& client : clients_) {
    Expect(*client, "SUBSCRIBE " + channel, "*3\r\n$9\r\nsubscribe\r\n" + Bulk(channel) + ":1\r\n");
  }
  EXPECT_EQ(Ask("SET ds/k 1\r\n", 5), "+OK\r\n");
  EXPECT_EQ(Ask("DEL ds/k\r\n", 4), ":1\r\n");
  for (const auto& client : clients_) {
    const std::string want = Message(channel, "set") + Message(channel, "del");
    EXPECT_EQ(client->Read(want.size()), want);
  }
  EXPECT_EQ(server_->TotalStats()->notices.Get(), 6u);
}

TEST_F(ServerPoolTest, InvalidationsReachEveryLoop) {
  Start();
  Connect();
  EXPECT_EQ(Ask("SET ds/k 1\r\n", 5), "+OK\r\n");
  for (const auto& client : clients_) {
    client->Write("HELLO 3\r\n");
    std::string hello;
    while (!hello.ends_with("modules\r\n*0\r\n")) hello += client->Read(1);
    Expect(*client, "CLIENT TRACKING ON", "+OK\r\n");
    Expect(*client, "GET ds/k", "$1\r\n1\r\n");
  }
  EXPECT_EQ(Ask("SET ds/k 2\r\n", 5), "+OK\r\n");
  const std::string want = ">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nds/k\r\n";
  for (const auto& client : clients_) EXPECT_EQ(client->Read(want.size()), want);
}

TEST_F(ServerPoolTest, InvalidationsAreRedirectedToAClientOfAnyLoop) {
  Start();
  Connect();
  EXPECT_EQ(Ask("SET ds/k 1\r\n", 5), "+OK\r\n");
  const std::string channel = "__redis__:invalidate";
  Expect(*clients_[0], "SUBSCRIBE " + channel,
         "*3\r\n$9\r\nsubscribe\r\n" + Bulk(channel) + ":1\r\n");
  for (std::size_t i = 1; i < threads_; ++i) {
    Expect(*clients_[i], "CLIENT TRACKING ON REDIRECT 1", "+OK\r\n");
    Expect(*clients_[i], "GET ds/k", "$1\r\n1\r\n");
    Expect(*clients_[i], "CLIENT TRACKING ON REDIRECT 99",
           "-ERR The client ID you want redirect to does not exist\r\n");
  }
  Expect(*clients_[2], "SET ds/k 2", "+OK\r\n");
  const std::string want = "*3\r\n$7\r\nmessage\r\n" + Bulk(channel) + "*1\r\n" + Bulk("ds/k");
  for (std::size_t i = 1; i < threads_; ++i) EXPECT_EQ(clients_[0]->Read(want.size()), want);
}

// Others keep the loops busy, so that turns are long and writes come in their midst.
TEST_F(ServerPoolTest, WhatWasAnsweredOnOneLoopIsSeenOnAllOthers) {
  Start();
  Connect();
  Expect(*clients_[0], "SET ds/k 0", "+OK\r\n");
  std::atomic<bool> done{false};
  std::vector<common::Thread> busy;
  for (std::size_t i = 0; i < threads_; ++i) {
    busy.emplace_back("busy", [this, &done] {
      RawClient client(options_.path);
      std::string request;
      for (int k = 0; k < 50; ++k) request += "GET ds/k\r\n";
      while (!done.load()) {
        client.Write(request + "PING end\r\n");
        std::string reply;
        while (!reply.ends_with("end\r\n")) reply += client.Read(1);
      }
    });
  }
  for (std::size_t i = 1; i <= 300 && !HasFailure(); ++i) {
    const std::string value = std::to_string(i);
    Expect(*clients_[i % threads_], "SET ds/k " + value, "+OK\r\n");
    for (const auto& client : clients_) Expect(*client, "GET ds/k", Bulk(value));
  }
  done.store(true);
}

TEST_F(ServerPoolTest, StopAnswersWhatHasComeToEveryLoop) {
  Start();
  Connect();
  port_.Gate();
  for (const auto& client : clients_) client->Write("SET ds/k 1\r\n");
  ASSERT_TRUE(Eventually([&] { return port_.held() == threads_; }));
  server_->Stop();
  RawClient late(options_.path);  // refused, or closed unanswered
  late.Write("PING\r\n");
  EXPECT_EQ(late.ReadAll(), "");
  port_.Open();
  for (const auto& client : clients_) EXPECT_EQ(client->ReadAll(), "+OK\r\n");
  server_->Join();
}

// Goal: no order of coming, asking and going breaks anything; the sanitizers look on.
TEST_F(ServerPoolTest, ClientsComeAskAndGoOnAllLoopsUntilTheEnd) {
  Start();
  std::atomic<std::size_t> rounds{0};
  std::atomic<bool> stopped{false};
  std::vector<common::Thread> crowd;
  for (std::size_t i = 0; i < 4; ++i) {
    crowd.emplace_back("crowd", [this, &rounds, &stopped, name = std::to_string(i)] {
      for (bool served = true; served; ++rounds) {
        RawClient client(options_.path);
        client.Write(
            "HELLO 3\r\nCLIENT TRACKING ON REDIRECT 1\r\nSUBSCRIBE __keyevent@0__:set\r\n"
            "SET ds/" +
            name + " 1\r\nGET ds/" + name +
            "\r\nSCAN 0 COUNT 1\r\n"
            "CLIENT LIST\r\nINFO\r\nQUIT\r\n");
        const std::string replies = client.ReadAll();
        served = replies.ends_with("+OK\r\n");
        EXPECT_TRUE(served || stopped.load()) << replies;
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return rounds.load() > 100; }));
  stopped.store(true);
  server_->Stop();
  server_->Join();
}

}  // namespace
}  // namespace agent

#include "common/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>

namespace common {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class AdminServerTest : public testing::Test {
 protected:
  void Start() {
    ASSERT_TRUE(server_.Start("127.0.0.1:0").ok());
    client_ = std::make_unique<httplib::Client>("127.0.0.1", server_.port());
  }
  // Status and body; 0: no answer.
  static std::pair<int, std::string> Take(const httplib::Result& result) {
    if (!result) return {0, ""};
    return {result->status, result->body};
  }

  Log log_{LogLevel::kInfo, LogFormat::kText, [](std::string_view) {}};
  Metrics metrics_;
  std::atomic<bool> is_ready_{false};
  std::atomic<int> quits_{0};
  AdminServer server_{
      {.ready =
           [this] { return is_ready_ ? OkStatus() : Error(StatusCode::kUnavailable, "loading"); },
       .quit = [this] { ++quits_; }},
      log_,
      metrics_};
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(AdminServerTest, ReadinessFollowsItsHook) {
  Start();
  EXPECT_EQ(Take(client_->Get("/ready")), std::make_pair(503, std::string("loading\n")));
  is_ready_ = true;
  EXPECT_EQ(Take(client_->Get("/ready")), std::make_pair(200, std::string("ready\n")));
  EXPECT_EQ(Take(client_->Get("/live")).first, 200);
  EXPECT_EQ(client_->Head("/live")->status, 200);
}

TEST_F(AdminServerTest, MetricsUnderBothPaths) {
  metrics_.AddCounter("t_total", "T").Increment();
  Start();
  for (const char* path : {"/metrics", "/stats/prometheus"}) {
    const auto result = client_->Get(path);
    ASSERT_TRUE(result);
    EXPECT_THAT(result->body, HasSubstr("t_total 1"));
    EXPECT_THAT(result->get_header_value("Content-Type"), HasSubstr("version=0.0.4"));
  }
}

TEST_F(AdminServerTest, LogLevelIsReadAndSet) {
  Start();
  EXPECT_EQ(Take(client_->Get("/log-level")).second, "info\n");
  EXPECT_EQ(Take(client_->Post("/log-level?level=debug")).first, 200);
  EXPECT_EQ(log_.level(), LogLevel::kDebug);
  EXPECT_EQ(Take(client_->Post("/log-level", "warn\n", "text/plain")).first, 200);
  EXPECT_EQ(log_.level(), LogLevel::kWarn);
  const auto bad = Take(client_->Post("/log-level", "loud", "text/plain"));
  EXPECT_EQ(bad.first, 400);
  EXPECT_THAT(bad.second, HasSubstr("debug, info"));
  EXPECT_EQ(log_.level(), LogLevel::kWarn);
}

TEST_F(AdminServerTest, QuitOnlyByPostAndNotFromAWebPage) {
  Start();
  EXPECT_EQ(Take(client_->Get("/quitquitquit")).first, 405);
  EXPECT_EQ(
      Take(client_->Post("/quitquitquit", {{"Origin", "http://evil"}}, "", "text/plain")).first,
      403);
  EXPECT_EQ(quits_, 0);
  EXPECT_EQ(Take(client_->Post("/quitquitquit")).first, 200);
  EXPECT_EQ(quits_, 1);
}

TEST_F(AdminServerTest, RegisteredPagesAndTheListOfPages) {
  server_.Get("/datasets", "what is carried", [](const AdminRequest& request) {
    const auto name = request.query.find("name");
    return JsonResponse(name == request.query.end() ? "[]" : "\"" + name->second + "\"");
  });
  server_.Get("/throws", "", [](const AdminRequest&) -> AdminResponse { throw 1; });
  Start();
  EXPECT_EQ(Take(client_->Get("/datasets")).second, "[]");
  EXPECT_EQ(Take(client_->Get("/datasets?name=a%2Fb")).second, "\"a/b\"");
  EXPECT_EQ(Take(client_->Get("/throws")).first, 500);
  const auto missing = Take(client_->Get("/nothing"));
  EXPECT_EQ(missing.first, 404);
  EXPECT_THAT(missing.second, AllOf(HasSubstr("no page /nothing"), HasSubstr("/datasets"),
                                    HasSubstr("what is carried"), HasSubstr("/quitquitquit")));
  EXPECT_THAT(Take(client_->Get("/")).second, HasSubstr("/metrics"));
}

TEST_F(AdminServerTest, APortInUseIsAnError) {
  Start();
  AdminServer second({}, log_, metrics_);
  const Status status = second.Start(fmt::format("127.0.0.1:{}", server_.port()));
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
  EXPECT_THAT(std::string(Message(status)), HasSubstr("cannot listen on 127.0.0.1:"));
  AdminServer third({}, log_, metrics_);
  EXPECT_FALSE(third.Start("no-such-host.invalid:1").ok());
}

TEST_F(AdminServerTest, StopAtOnceAndTwiceDoesNotHang) {
  for (int i = 0; i < 20; ++i) {
    AdminServer server({}, log_, metrics_);
    ASSERT_TRUE(server.Start("127.0.0.1:0").ok());
    server.Stop();
    server.Stop();
  }
}

TEST(HostPortTest, GoodAndBad) {
  EXPECT_EQ(ParseHostPort("127.0.0.1:0")->port, 0);
  EXPECT_EQ(ParseHostPort("[::1]:65535")->host, "::1");
  EXPECT_EQ(ParseHostPort("localhost:80")->host, "localhost");
  for (const char* text : {"", ":1", "a", "a:", "a:65536", "a:-1", "::1:80", "[::1]", "[]:1",
                           "a b:1", "a:1 ", "http://a:1"}) {
    EXPECT_FALSE(ParseHostPort(text).ok()) << text;
  }
}

}  // namespace
}  // namespace common

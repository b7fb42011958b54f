// The program as operators run it: exit codes, kill -9, drain.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "common/rpc/identity.h"
#include "common/status.h"
#include "tributary/v1/admin.grpc.pb.h"
#include "tributary/v1/publisher.grpc.pb.h"
#include "tributary/v1/reader.grpc.pb.h"

extern char** environ;

namespace cp {
namespace {

using testing::HasSubstr;
using tributary::v1::PublishRequest;
using tributary::v1::PublishResponse;

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = std::filesystem::temp_directory_path() / "program_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override {
    if (pid_ > 0) Stop(SIGKILL);
    std::filesystem::remove_all(dir_);
  }

  pid_t Spawn(const std::vector<std::string>& arguments) {
    std::vector<std::string> words{TRIBUTARY_CONTROL_PLANE};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, (dir_ + "/log").c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t pid = 0;
    CHECK(posix_spawn(&pid, TRIBUTARY_CONTROL_PLANE, &actions, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  // The exit code, or minus the signal.
  static int Wait(pid_t pid) {
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string LogText() const {
    std::ostringstream text;
    text << std::ifstream(dir_ + "/log").rdbuf();
    return text.str();
  }

  std::vector<std::string> Arguments(const std::string& socket) const {
    return {"--insecure", "--listen",    "unix:" + dir_ + "/" + socket, "--admin", "127.0.0.1:0",
            "--data-dir", dir_ + "/data"};
  }
  // Starts the program and waits until it answers.
  void Start() {
    pid_ = Spawn(Arguments("s"));
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channel_ = grpc::CreateCustomChannel("unix:" + dir_ + "/s", grpc::InsecureChannelCredentials(),
                                         arguments);
    const auto deadline = std::chrono::system_clock::now() + std::chrono::seconds(60);
    ASSERT_TRUE(channel_->WaitForConnected(deadline)) << LogText();
  }
  int Stop(int signal) {
    kill(pid_, signal);
    return Wait(std::exchange(pid_, 0));
  }

  void Prepare(grpc::ClientContext& context) const {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    context.AddMetadata(common::kServiceMetadataKey, "shop");
  }
  void Declare() {
    tributary::v1::ApplyRequest request;
    tributary::v1::ApplyResponse response;
    request.add_objects(R"({"apiVersion":"tributary.dev/v1alpha1","kind":"Dataset",)"
                        R"("metadata":{"name":"orders"},"spec":{"owner":"shop"}})");
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status =
        tributary::v1::Admin::NewStub(channel_)->Apply(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  // Key n holds "n" from `first` to `last`; what is beyond does not exist.
  void ExpectEntries(std::uint64_t last) {
    tributary::v1::GetRequest request;
    tributary::v1::GetResponse response;
    request.set_dataset("orders");
    for (std::uint64_t i = 1; i <= last + 1; ++i) request.add_keys(fmt::format("{}", i));
    grpc::ClientContext context;
    Prepare(context);
    const grpc::Status status =
        tributary::v1::Reader::NewStub(channel_)->Get(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.entries_size(), static_cast<int>(last) + 1);
    for (std::uint64_t i = 1; i <= last; ++i) {
      const auto& entry = response.entries(static_cast<int>(i) - 1);
      EXPECT_TRUE(entry.found()) << "lost " << i;
      EXPECT_EQ(entry.value(), fmt::format("{}", i));
    }
    EXPECT_FALSE(response.entries(static_cast<int>(last)).found()) << "from nowhere";
  }

  std::string dir_;
  pid_t pid_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
};

// One publisher; batch n writes key n, once.
class Publisher {
 public:
  Publisher(const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext& context)
      : stub_(tributary::v1::Publisher::NewStub(channel)), stream_(stub_->Publish(&context)) {
    PublishRequest hello;
    hello.set_publisher_id("p");
    stream_->Write(hello);
    EXPECT_TRUE(stream_->Read(&greeting_));
  }
  std::uint64_t last_sequence() const { return greeting_.last_sequence(); }
  bool Send(std::uint64_t sequence) {
    PublishRequest request;
    auto& batch = *request.add_batches();
    batch.set_sequence(sequence);
    auto& write = *batch.add_writes();
    write.set_dataset("orders");
    write.set_key(fmt::format("{}", sequence));
    write.set_put(fmt::format("{}", sequence));
    return stream_->Write(request);
  }
  // The sequence that was answered last; 0: the stream has ended.
  std::uint64_t Receive() {
    PublishResponse response;
    if (!stream_->Read(&response)) return 0;
    std::uint64_t last = 0;
    for (const auto& result : response.results()) {
      EXPECT_EQ(result.code(), 0) << result.message();
      EXPECT_GT(result.revision(), revision_);
      revision_ = result.revision();
      last = result.sequence();
    }
    return last;
  }
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  std::unique_ptr<tributary::v1::Publisher::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<PublishRequest, PublishResponse>> stream_;
  PublishResponse greeting_;
  std::uint64_t revision_ = 0;
};

TEST_F(ProgramTest, KillLosesNothingThatWasAnsweredAndRetriesApplyOnce) {
  const char* const given = std::getenv("TRIBUTARY_SEED");  // NOLINT(concurrency-mt-unsafe)
  const unsigned seed = given == nullptr ? std::random_device()()
                                         : static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  SCOPED_TRACE(fmt::format("TRIBUTARY_SEED={}", seed));
  std::mt19937 random(seed);
  Start();
  Declare();
  std::uint64_t decided = 0;
  for (int round = 0; round < 5; ++round) {
    grpc::ClientContext context;
    Prepare(context);
    Publisher publisher(channel_, context);
    EXPECT_GE(publisher.last_sequence(), decided);
    const std::uint64_t from = decided + 1;  // some of these were decided but not answered
    const std::uint64_t count = 1 + random() % 60;
    for (std::uint64_t i = from; i < from + count; ++i) ASSERT_TRUE(publisher.Send(i));
    const std::uint64_t kill_after = decided + random() % (count + 1);
    while (decided < kill_after) {
      decided = publisher.Receive();
      ASSERT_GT(decided, 0u);
    }
    EXPECT_EQ(Stop(SIGKILL), -SIGKILL);
    context.TryCancel();
    publisher.Finish();
    Start();
  }
  grpc::ClientContext context;
  Prepare(context);
  Publisher publisher(channel_, context);
  const std::uint64_t last = publisher.last_sequence();
  EXPECT_GE(last, decided);
  ExpectEntries(last);
}

TEST_F(ProgramTest, SigtermDrainsAndExitsWithZero) {
  Start();
  Declare();
  grpc::ClientContext context;
  Prepare(context);
  Publisher publisher(channel_, context);
  ASSERT_TRUE(publisher.Send(1));
  EXPECT_EQ(publisher.Receive(), 1u);
  EXPECT_EQ(Stop(SIGTERM), 0) << LogText();
  EXPECT_EQ(publisher.Receive(), 0u);
  EXPECT_EQ(publisher.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  Start();
  ExpectEntries(1);
}

TEST_F(ProgramTest, ADataDirectoryInUseIsSaid) {
  Start();
  EXPECT_EQ(Wait(Spawn(Arguments("t"))), 1);
  EXPECT_THAT(LogText(), HasSubstr("in use"));
}

TEST_F(ProgramTest, UsageErrorsExitWith64) {
  EXPECT_EQ(Wait(Spawn({})), 64);
  EXPECT_THAT(LogText(), HasSubstr("neither TLS nor --insecure"));
  EXPECT_EQ(Wait(Spawn({"--version"})), 0);
}

}  // namespace
}  // namespace cp

#include "agent/cache/directory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "agent/cache/cache_fixture.h"

namespace agent {
namespace {

using common::Collection;
using common::OkStatus;
using common::Status;
using common::StatusCode;

TEST(DirectoryStateTest, RoundTrip) {
  for (const bool clean : {false, true}) {
    const DirectoryState want{
        .format = 1, .clean = clean, .boot = "0a1b-2c", .service = "billing.finance"};
    EXPECT_EQ(ParseDirectoryState(FormatDirectoryState(want)), want);
  }
}

TEST(DirectoryStateTest, RefusesAnythingElse) {
  const char* const cases[] = {
      "",
      "\n",
      "tributary-agent-cache\n",
      "tributary-agent-cache format=1 clean=0 boot=b service=s",
      "tributary-agent-cache format=1 clean=2 boot=b service=s\n",
      "tributary-agent-cache format=1 clean= boot=b service=s\n",
      "tributary-agent-cache format=0 clean=0 boot=b service=s\n",
      "tributary-agent-cache format=x clean=0 boot=b service=s\n",
      "tributary-agent-cache format=1x clean=0 boot=b service=s\n",
      "tributary-agent-cache format=99999999999 clean=0 boot=b service=s\n",
      "tributary-agent-cache format=1 clean=0 boot= service=s\n",
      "tributary-agent-cache format=1 boot=b clean=0 service=s\n",
      "tributary-agent-cache format=1 clean=0 boot=b\n",
      "tributary-agent-cache format=1 clean=0 boot=b service=s more\n",
      "tributary-agent-cachex format=1 clean=0 boot=b service=s\n",
      "something-else format=1 clean=0 boot=b service=s\n",
  };
  for (const char* text : cases) EXPECT_FALSE(ParseDirectoryState(text)) << text;
}

class DirectoryTest : public CacheFixture {
 protected:
  void SetUp() override {
    options_.boot_id_path = dir_.path() + "/boot_id";
    SetBoot("boot-1");
    Open();
    Changes changes;
    changes.Put("k", At(1), "v");
    LoadCopy({.dataset = "d", .prefix = ""}, changes, 1);
  }
  void SetBoot(const std::string& boot) { std::ofstream(options_.boot_id_path) << boot << "\n"; }
  std::string StateText() {
    std::ifstream in(dir_.path() + "/cache.state");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }
  void WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(dir_.path() + "/" + name, std::ios::binary) << text;
  }
  // As a killed process leaves it.
  void MarkUnclean(const std::string& boot) {
    WriteFile("cache.state",
              FormatDirectoryState(
                  {.format = 1, .clean = false, .boot = boot, .service = options_.service}));
  }
  Status OpenStatus() { return Cache::Open(options_).status(); }
};

TEST_F(DirectoryTest, UncleanSurvivesTheSameBoot) {
  Close();
  MarkUnclean("boot-1");
  Open();
  EXPECT_EQ(cache_->emptied_because(), "");
  EXPECT_EQ(Get("d", "k"), "v");
}

TEST_F(DirectoryTest, CleanSurvivesAnotherBoot) {
  EXPECT_NE(StateText().find("clean=0"), std::string::npos) << "while it is open";
  Close();
  EXPECT_NE(StateText().find("clean=1"), std::string::npos);
  SetBoot("boot-2");
  Open();
  EXPECT_EQ(cache_->emptied_because(), "");
  EXPECT_EQ(Get("d", "k"), "v");
  EXPECT_NE(StateText().find("clean=0 boot=boot-2"), std::string::npos);
}

TEST_F(DirectoryTest, UncleanAfterAnotherBootIsEmptied) {
  for (const char* boot : {"boot-2", ""}) {
    SCOPED_TRACE(boot);
    Close();
    MarkUnclean("boot-1");
    SetBoot(boot);
    Open();
    EXPECT_NE(cache_->emptied_because(), "");
    EXPECT_TRUE(writer_->Copies().empty());
    ASSERT_EQ(writer_->Add({.dataset = "d", .prefix = ""}), OkStatus()) << "it works";
  }
}

// Goal: data torn by a host crash is not even opened.
TEST_F(DirectoryTest, TornDataAfterAnotherBootIsNotOpened) {
  Close();
  MarkUnclean("boot-1");
  SetBoot("boot-2");
  WriteFile("data.mdb", std::string(64 << 10, 'x'));
  Open();
  EXPECT_TRUE(writer_->Copies().empty());
}

TEST_F(DirectoryTest, BrokenDataIsReplaced) {
  Close();
  WriteFile("data.mdb", std::string(64 << 10, 'x'));
  Open();
  EXPECT_NE(cache_->emptied_because().find("broken"), std::string::npos)
      << cache_->emptied_because();
  EXPECT_TRUE(writer_->Copies().empty());
  ASSERT_EQ(writer_->Add({.dataset = "d", .prefix = ""}), OkStatus());
}

TEST_F(DirectoryTest, RefusesWhatIsNotItsOwn) {
  Close();
  const std::string own = StateText();
  struct Case {
    const char* what;
    std::string state;
    const char* message;
  };
  const Case cases[] = {
      {"another service",
       FormatDirectoryState({.format = 1, .clean = true, .boot = "b", .service = "other"}),
       "'other', not of 'billing.finance'"},
      {"newer format",
       FormatDirectoryState({.format = 2, .clean = true, .boot = "b", .service = "other"}),
       "start an agent at least as new"},
      {"garbage", "garbage", "not an agent's cache"},
      {"nothing", "", "not an agent's cache"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    WriteFile("cache.state", c.state);
    const Status status = OpenStatus();
    EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
    EXPECT_NE(common::Message(status).find(c.message), std::string_view::npos) << status;
    EXPECT_NE(common::Message(status).find("--data-dir"), std::string_view::npos) << status;
    EXPECT_EQ(StateText(), c.state) << "it was not touched";
  }
  WriteFile("cache.state", own);
  Open();
  EXPECT_EQ(Get("d", "k"), "v");
}

TEST_F(DirectoryTest, RefusesADirectoryOfAnotherProgram) {
  TempDir foreign;
  {
    auto env = common::lmdb::Env::Open({.dir = foreign.path()});
    ASSERT_TRUE(env.ok());
    ASSERT_TRUE(env->OpenDatabase("meta").ok());
  }
  CacheOptions options = options_;
  options.dir = foreign.path();
  EXPECT_EQ(Cache::Open(options).status().code(), StatusCode::kFailedPrecondition);
}

TEST_F(DirectoryTest, RefusesADirectoryInUse) {
  EXPECT_EQ(OpenStatus().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Get("d", "k"), "v");
}

TEST_F(DirectoryTest, MissingParentsAreCreated) {
  CacheOptions options = options_;
  options.dir = dir_.path() + "/a/b/c";
  EXPECT_EQ(Cache::Open(options).status(), OkStatus());
  EXPECT_EQ(Cache::Open(options).status(), OkStatus());
}

}  // namespace
}  // namespace agent

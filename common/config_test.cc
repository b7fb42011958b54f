#include "common/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <map>

namespace common {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const Program kProgram{"prog", "1.2.3", "does things"};

struct Settings {
  bool insecure = false;
  std::string listen = "127.0.0.1:1";
  std::string format = "text";
  std::uint64_t count = 7;
  std::chrono::milliseconds interval{1000};
  ByteSize map{64ULL << 30};
  FileMode mode{0660};
  std::vector<std::string> subscribe;
};

std::vector<Option> Table(Settings& s) {
  return {
      {"Network",
       "listen",
       &s.listen,
       "HOST:PORT",
       "Where to listen",
       {},
       [](std::string_view text) {
         return text == "bad" ? InvalidArgument("\"bad\" will not do") : OkStatus();
       }},
      {"Network", "insecure", &s.insecure, "", "No TLS"},
      {"Data", "count", &s.count, "", "How many"},
      {"Data", "freshness-interval", &s.interval, "", "How often"},
      {"Data", "max-map-size", &s.map, "", "How big"},
      {"Data", "socket-mode", &s.mode, "", "Mode of the socket"},
      {"Data", "subscribe", &s.subscribe, "DATASET", "What to carry"},
      {"General", "log-format", &s.format, "", "Form of the log", {"text", "json"}},
  };
}

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/config_test_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    dir_ = name;
    file_ = dir_ + "/prog.yaml";
  }
  void TearDown() override {
    unlink(file_.c_str());
    rmdir(dir_.c_str());
  }

  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }

  LoadOutcome Load(std::vector<std::string> arguments) {
    settings_ = {};
    std::vector<const char*> argv{"prog"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    return LoadOptions(kProgram, Table(settings_), static_cast<int>(argv.size()), argv.data(),
                       [this](const std::string& variable) -> std::optional<std::string> {
                         const auto found = environment_.find(variable);
                         if (found == environment_.end()) return std::nullopt;
                         return found->second;
                       });
  }
  void ExpectFault(std::vector<std::string> arguments, const std::string& want) {
    const LoadOutcome outcome = Load(std::move(arguments));
    EXPECT_EQ(outcome.exit_code, kExitUsage);
    EXPECT_THAT(outcome.text, AllOf(HasSubstr("prog: "), HasSubstr(want), HasSubstr("--help")));
  }

  std::string dir_, file_;
  Settings settings_;
  std::map<std::string, std::string> environment_;
};

TEST_F(ConfigTest, DefaultsStayWithoutAnySource) {
  const LoadOutcome outcome = Load({});
  EXPECT_EQ(outcome.exit_code, std::nullopt) << outcome.text;
  EXPECT_EQ(settings_.listen, "127.0.0.1:1");
  EXPECT_EQ(settings_.count, 7u);
  EXPECT_FALSE(settings_.insecure);
}

TEST_F(ConfigTest, EveryTypeComesFromEverySource) {
  const auto expect = [this](const char* source) {
    SCOPED_TRACE(source);
    EXPECT_TRUE(settings_.insecure);
    EXPECT_EQ(settings_.listen, "[::1]:2");
    EXPECT_EQ(settings_.count, 9u);
    EXPECT_EQ(settings_.interval.count(), 250);
    EXPECT_EQ(settings_.map.bytes, 1u << 20);
    EXPECT_EQ(settings_.mode.bits, 0600u);
    EXPECT_EQ(settings_.format, "json");
    EXPECT_THAT(settings_.subscribe, ElementsAre("a/x*:replicate", "b"));
  };
  LoadOutcome outcome =
      Load({"--listen", "[::1]:2", "--insecure", "--count=9", "--freshness-interval", "250ms",
            "--max-map-size=1MiB", "--socket-mode", "0600", "--log-format", "json", "--subscribe",
            "a/x*:replicate", "--subscribe=b"});
  ASSERT_EQ(outcome.exit_code, std::nullopt) << outcome.text;
  expect("flags");

  environment_ = {{"TRIBUTARY_LISTEN", "[::1]:2"},
                  {"TRIBUTARY_INSECURE", "1"},
                  {"TRIBUTARY_COUNT", "9"},
                  {"TRIBUTARY_FRESHNESS_INTERVAL", "250ms"},
                  {"TRIBUTARY_MAX_MAP_SIZE", "1MiB"},
                  {"TRIBUTARY_SOCKET_MODE", "600"},
                  {"TRIBUTARY_LOG_FORMAT", "json"},
                  {"TRIBUTARY_SUBSCRIBE", "a/x*:replicate,b"},
                  {"TRIBUTARY_SERVICE_PORT", "ignored"}};
  outcome = Load({});
  ASSERT_EQ(outcome.exit_code, std::nullopt) << outcome.text;
  expect("environment");

  environment_.clear();
  WriteFile(
      "# a comment\nlisten: '[::1]:2'\ninsecure: true\ncount: 9\nfreshness-interval: 250ms\n"
      "max-map-size: 1MiB\nsocket-mode: 0600\nlog-format: json\nsubscribe:\n- a/x*:replicate\n- "
      "b\n");
  outcome = Load({"--config", file_});
  ASSERT_EQ(outcome.exit_code, std::nullopt) << outcome.text;
  expect("file");
  environment_ = {{"TRIBUTARY_CONFIG", file_}};
  outcome = Load({});
  ASSERT_EQ(outcome.exit_code, std::nullopt) << outcome.text;
  expect("file named by the environment");
}

TEST_F(ConfigTest, FlagBeatsVariableBeatsFile) {
  WriteFile("count: 1\nlisten: file\ninsecure: true\nsubscribe: [f]\n");
  environment_ = {
      {"TRIBUTARY_COUNT", "2"}, {"TRIBUTARY_LISTEN", "variable"}, {"TRIBUTARY_SUBSCRIBE", "v"}};
  ASSERT_EQ(Load({"--config", file_, "--count", "3", "--insecure=false"}).exit_code, std::nullopt);
  EXPECT_EQ(settings_.count, 3u);
  EXPECT_EQ(settings_.listen, "variable");
  EXPECT_THAT(settings_.subscribe, ElementsAre("v"));
  EXPECT_FALSE(settings_.insecure);
  environment_.clear();
  ASSERT_EQ(Load({"--config", file_}).exit_code, std::nullopt);
  EXPECT_EQ(settings_.count, 1u);
  EXPECT_TRUE(settings_.insecure);
}

TEST_F(ConfigTest, ALaterFlagReplacesAnEarlierOne) {
  ASSERT_EQ(Load({"--count", "3", "--count", "4"}).exit_code, std::nullopt);
  EXPECT_EQ(settings_.count, 4u);
}

TEST_F(ConfigTest, BadFlagsAreNamed) {
  ExpectFault({"--nonsense"}, "--nonsense");
  ExpectFault({"--nonsense=1"}, "--nonsense=1");
  ExpectFault({"stray"}, "stray");
  ExpectFault({"--lisen=1"}, "--lisen=1; did you mean 'listen'?");
  ExpectFault({"--count"}, "--count");
  ExpectFault({"--count", "x"}, "--count: \"x\" is not a whole number");
  ExpectFault({"--insecure=maybe"}, "--insecure");
  ExpectFault({"--freshness-interval", "1"}, "--freshness-interval: \"1\" is not a duration");
  ExpectFault({"--max-map-size", "big"}, "--max-map-size: \"big\" is not a size");
  ExpectFault({"--socket-mode", "999"}, "--socket-mode: \"999\" is not a file mode");
  ExpectFault({"--log-format", "xml"}, "--log-format: \"xml\" is not one of text, json");
  ExpectFault({"--listen", "bad"}, "--listen: \"bad\" will not do");
}

TEST_F(ConfigTest, BadVariablesAreNamed) {
  environment_ = {{"TRIBUTARY_COUNT", ""}};
  ExpectFault({}, "TRIBUTARY_COUNT: \"\" is not a whole number");
  environment_ = {{"TRIBUTARY_INSECURE", "maybe"}};
  ExpectFault({}, "TRIBUTARY_INSECURE: \"maybe\" is neither");
}

TEST_F(ConfigTest, BadFilesAreNamedWithLineAndKey) {
  struct Case {
    const char* text;
    const char* want;
  };
  for (const Case& c :
       {Case{"count: 1\nlisen: x\n", "prog.yaml:2: lisen: unknown key; did you mean 'listen'?"},
        Case{"\n\ncount: x\n", "prog.yaml:3: count: \"x\" is not a whole number"},
        Case{"count: 1\ncount: 2\n", "prog.yaml:2: count: given twice"},
        Case{"count: [1]\n", "prog.yaml:1: count: must be one value"},
        Case{"count: {a: 1}\n", "prog.yaml:1: count: must be one value"},
        Case{"listen: ~\ncount: ''\n", "count: \"\""},
        Case{"subscribe: {a: b}\n", "prog.yaml:1: subscribe: must be a list"},
        Case{"subscribe: [[a]]\n", "prog.yaml:1: subscribe: must be a list"},
        Case{"config: other\n", "prog.yaml:1: config: unknown key"},
        Case{"- a\n", "prog.yaml:1: must be a map"},
        Case{"count: 1\n  listen: [\n", "prog.yaml:2: "},
        Case{"? [a]\n: b\n", "prog.yaml:1: a field name"}}) {
    SCOPED_TRACE(c.text);
    WriteFile(c.text);
    ExpectFault({"--config", file_}, c.want);
  }
  ExpectFault({"--config", dir_ + "/absent.yaml"}, "cannot read " + dir_ + "/absent.yaml");
}

TEST_F(ConfigTest, AnEmptyFileIsFine) {
  WriteFile("# nothing\n");
  EXPECT_EQ(Load({"--config", file_}).exit_code, std::nullopt);
}

TEST_F(ConfigTest, EveryFaultIsReported) {
  WriteFile("lisen: x\ncount: y\n");
  environment_ = {{"TRIBUTARY_SOCKET_MODE", "z"}};
  const LoadOutcome outcome = Load({"--config", file_, "--max-map-size", "w"});
  EXPECT_EQ(outcome.exit_code, kExitUsage);
  for (const char* fault : {":1: lisen", ":2: count", "TRIBUTARY_SOCKET_MODE", "--max-map-size"}) {
    EXPECT_THAT(outcome.text, HasSubstr(fault));
  }
}

TEST_F(ConfigTest, HelpAndVersionExitWithZero) {
  environment_ = {{"TRIBUTARY_COUNT", "not a number"}};  // help must work all the same
  for (const char* flag : {"--help", "-h"}) {
    const LoadOutcome help = Load({flag, "--count", "3"});
    EXPECT_EQ(help.exit_code, 0);
    EXPECT_THAT(help.text,
                AllOf(HasSubstr("Usage: prog"), HasSubstr("\nNetwork:\n"),
                      HasSubstr("--listen HOST:PORT"), HasSubstr("(default 127.0.0.1:1)"),
                      HasSubstr("(default 64GiB)"), HasSubstr("(default 0660)"),
                      HasSubstr("(default 1s)"), HasSubstr("text|json"), HasSubstr("(repeatable)"),
                      HasSubstr("--config FILE"), Not(HasSubstr("(default 3)"))));
  }
  const LoadOutcome version = Load({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.text, "prog 1.2.3\n");
}

TEST_F(ConfigTest, MarkdownHasOneRowPerOption) {
  const std::string text = MarkdownTable(Table(settings_));
  EXPECT_THAT(
      text, AllOf(HasSubstr("### Data\n"),
                  HasSubstr("| `--count NUMBER` | `TRIBUTARY_COUNT` | `count` | `7` | How many |"),
                  HasSubstr("`--log-format text\\|json`"), HasSubstr("TRIBUTARY_CONFIG")));
}

TEST_F(ConfigTest, JsonShowsWhatIsInForce) {
  ASSERT_EQ(Load({"--count", "8", "--subscribe", "a", "--subscribe", "b"}).exit_code, std::nullopt);
  const std::string json = OptionsJson(Table(settings_));
  EXPECT_THAT(json, AllOf(HasSubstr("\"count\": \"8\""), HasSubstr("\"max-map-size\": \"64GiB\""),
                          HasSubstr("\"insecure\": \"false\""), HasSubstr("\"b\"\n")));
}

}  // namespace
}  // namespace common

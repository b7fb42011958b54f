#include "control-plane/ctl/cli.h"

#include <exception>
#include <utility>

#include "common/signals.h"
#include "control-plane/ctl/exit_code.h"
#include "control-plane/ctl/global_flags.h"

namespace ctl {
namespace {

void PrintError(const Io& io, std::string_view message) {
  // Faults of a file say where they are; everything else says who speaks.
  const bool is_list = message.find('\n') != std::string_view::npos;
  io.err << (is_list ? "" : "tributaryctl: ") << message << '\n';
}

int UsageFailed(const Io& io, const Status& status) {
  PrintError(io, common::Message(status));
  return kExitUsage;
}

// One parsed command line.
class CommandLine {
 public:
  CommandLine()
      : app_("tributaryctl: declare, publish, read and inspect Tributary's datasets",
             "tributaryctl") {
    app_.set_version_flag("--version", "tributaryctl " + common::BuildVersion());
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(34);
    before_.AddTo(app_);
    for (const VerbEntry& entry : Verbs()) {
      Parsed& parsed =
          verbs_.emplace_back(entry.make(), app_.add_subcommand(entry.name, entry.summary));
      parsed.verb->Define(*parsed.app);
      after_.AddTo(*parsed.app);
    }
  }

  // Absent: the chosen verb may run.
  std::optional<int> Parse(int argc, const char* const* argv, const Io& io) {
    try {
      app_.parse(argc, argv);
      return std::nullopt;
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) {  // --help, --version
        app_.exit(error, io.out, io.err);
        return kExitOk;
      }
      const std::vector<CLI::App*> chosen = app_.get_subcommands();
      PrintError(io, fmt::format("{}; see tributaryctl{} --help", error.what(),
                                 chosen.empty() ? "" : " " + chosen[0]->get_name()));
      return kExitUsage;
    }
  }

  Verb& verb() {
    for (Parsed& parsed : verbs_) {
      if (parsed.app->parsed()) return *parsed.verb;
    }
    CHECK(false);
  }

  GlobalFlags flags() const {
    GlobalFlags flags = after_;
    flags.FillFrom(before_);
    return flags;
  }
  const CLI::App& app() const { return app_; }

 private:
  struct Parsed {
    Parsed(std::unique_ptr<Verb> the_verb, CLI::App* the_app)
        : verb(std::move(the_verb)), app(the_app) {}
    std::unique_ptr<Verb> verb;
    CLI::App* app;
  };

  GlobalFlags before_, after_;  // the verb
  CLI::App app_;
  std::vector<Parsed> verbs_;
};

int RunVerb(CommandLine& line, const common::Environment& environment, const Io& io) {
  GlobalFlags flags = line.flags();
  if (Status s = flags.FillFromEnvironment(environment); !s.ok()) return UsageFailed(io, s);
  if (Status s = flags.FillFromFile(); !s.ok()) return UsageFailed(io, s);
  const StatusOr<Output> output = flags.output();
  if (!output.ok()) return UsageFailed(io, output.status());
  Verb& verb = line.verb();
  if (Status s = verb.Check(); !s.ok()) return UsageFailed(io, s);
  if (verb.handles_stop()) common::BlockStopSignals();  // before gRPC starts its threads
  std::unique_ptr<Connection> connection;
  if (verb.needs_connection()) {
    StatusOr<ConnectionOptions> options = flags.connection();
    if (!options.ok()) return UsageFailed(io, options.status());
    StatusOr<std::unique_ptr<Connection>> made = Connection::Make(*std::move(options));
    if (!made.ok()) return UsageFailed(io, made.status());
    connection = *std::move(made);
  }
  Status status = verb.Run({io, *output, connection.get(), line.app()});
  io.out.flush();
  if (status.ok() && !io.out)
    status = common::Error(common::StatusCode::kDataLoss, "the output cannot be written");
  if (status.ok()) return kExitOk;
  if (connection) status = connection->Explain(status);
  PrintError(io, common::Message(status));
  return ExitCodeOf(status);
}

}  // namespace

int RunCli(int argc, const char* const* argv, const common::Environment& environment,
           const Io& io) {
  try {  // CLI11 and the standard library throw; nothing here relies on it
    CommandLine line;
    if (const std::optional<int> code = line.Parse(argc, argv, io)) return *code;
    return RunVerb(line, environment, io);
  } catch (const std::exception& error) {
    PrintError(io, error.what());
    return kExitFailed;
  }
}

}  // namespace ctl

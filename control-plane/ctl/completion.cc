// completion: scripts made from the command line's own definition, so they cannot fall behind it.
#include "control-plane/ctl/verb.h"

namespace ctl {
namespace {

using common::InvalidArgument;
using common::OkStatus;

struct Completions {
  std::string verbs;                                         // "apply get …"
  std::vector<std::pair<std::string, std::string>> of_verb;  // verb → its flags and fixed words
};

// Words that stand where the verb's first positional is.
std::string FixedWords(const std::string& verb) {
  if (verb == "get") return "datasets subscriptions agents";
  if (verb == "describe" || verb == "delete") return "dataset subscription";
  if (verb == "completion") return "bash zsh fish";
  return "";
}

std::string FlagsOf(const CLI::App& app) {
  std::string flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags += " --" + name;
    for (const std::string& name : option->get_snames()) flags += " -" + name;
  }
  return flags;
}

Completions Collect(const CLI::App& app) {
  Completions all;
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    all.verbs += (all.verbs.empty() ? "" : " ") + verb->get_name();
    all.of_verb.emplace_back(verb->get_name(), FixedWords(verb->get_name()) + FlagsOf(*verb));
  }
  return all;
}

std::string Bash(const CLI::App& app, const Completions& all) {
  std::string cases;
  for (const auto& [verb, words] : all.of_verb) {
    cases += fmt::format("      {}) words=\"{}\" ;;\n", verb, words);
  }
  return fmt::format(R"(# bash completion of tributaryctl:  source <(tributaryctl completion bash)
_tributaryctl() {{
  local word words="" verb="" verbs="{}"
  local current="${{COMP_WORDS[COMP_CWORD]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case " $verbs " in *" $word "*) verb="$word"; break ;; esac
  done
  case "$verb" in
{}      *) words="$verbs{}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  case "$verb" in apply|delete|put|import|export) COMPREPLY+=($(compgen -f -- "$current")) ;; esac
}}
complete -F _tributaryctl tributaryctl
)",
                     all.verbs, cases, FlagsOf(app));
}

std::string Zsh(const CLI::App& app, const Completions& all) {
  return "#compdef tributaryctl\n"
         "# zsh completion of tributaryctl:  source <(tributaryctl completion zsh)\n"
         "autoload -U +X bashcompinit && bashcompinit\n" +
         Bash(app, all);
}

std::string FishQuoted(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string Fish(const CLI::App& app) {
  std::string out =
      "# fish completion of tributaryctl:  tributaryctl completion fish | source\n"
      "complete -c tributaryctl -f\n";
  const auto add = [&out](const std::string& condition, const CLI::App& from) {
    for (const CLI::Option* option : from.get_options()) {
      for (const std::string& name : option->get_lnames()) {
        out += fmt::format("complete -c tributaryctl -n '{}' -l {} -d '{}'\n", condition, name,
                           FishQuoted(option->get_description()));
      }
    }
  };
  for (const CLI::App* verb : app.get_subcommands([](const CLI::App*) { return true; })) {
    const std::string& name = verb->get_name();
    out += fmt::format("complete -c tributaryctl -n __fish_use_subcommand -a {} -d '{}'\n", name,
                       FishQuoted(verb->get_description()));
    const std::string condition = "__fish_seen_subcommand_from " + name;
    if (const std::string words = FixedWords(name); !words.empty()) {
      out += fmt::format("complete -c tributaryctl -n '{}' -a '{}'\n", condition, words);
    }
    add(condition, *verb);
  }
  add("__fish_use_subcommand", app);
  return out;
}

class Completion final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("shell", shell_, "bash, zsh or fish")->required();
  }
  Status Check() const override {
    if (shell_ == "bash" || shell_ == "zsh" || shell_ == "fish") return OkStatus();
    return InvalidArgument("completion {}: must be bash, zsh or fish", shell_);
  }
  bool needs_connection() const override { return false; }
  Status Run(const Session& session) override {
    const Completions all = Collect(session.app);
    if (shell_ == "bash") session.io.out << Bash(session.app, all);
    if (shell_ == "zsh") session.io.out << Zsh(session.app, all);
    if (shell_ == "fish") session.io.out << Fish(session.app);
    return OkStatus();
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Verb> MakeCompletion() { return std::make_unique<Completion>(); }

}  // namespace ctl

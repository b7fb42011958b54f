#include "agent/healthcheck.h"

#include <httplib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "common/admin_server.h"
#include "common/config.h"
#include "common/mailbox.h"

namespace agent {
namespace {

using common::Error;
using common::Status;
using common::StatusCode;

constexpr std::chrono::milliseconds kBetweenTries{200};
constexpr std::chrono::seconds kTimeout{4};

struct Question {
  std::string admin = "127.0.0.1:9901";
  std::string what = "ready";
  std::chrono::milliseconds wait{0};
  bool lenient = false;
};

std::vector<common::Option> Table(Question& q) {
  return {
      {"Question", "admin", &q.admin, "HOST:PORT", "The agent's --admin"},
      {"Question",
       "for",
       &q.what,
       "",
       "What to ask: live, ready, or idle (no client is connected)",
       {"live", "ready", "idle"}},
      {"Question", "wait", &q.wait, "DURATION",
       "Ask again until the answer is yes, at most so long"},
      {"Question", "lenient", &q.lenient, "", "Exit 0 even when the answer stays no"},
  };
}

// A listener on all addresses is asked on loopback.
std::string DialHost(const std::string& host) {
  if (host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

Status Ask(const Question& question, const common::HostPort& address) {
  httplib::Client client(DialHost(address.host), address.port);
  client.set_connection_timeout(kTimeout);
  client.set_read_timeout(kTimeout);
  const bool idle = question.what == "idle";
  const auto answer = client.Get(idle ? "/clients" : "/" + question.what);
  if (!answer) {
    return Error(StatusCode::kUnavailable, "no answer from {}: {}", question.admin,
                 httplib::to_string(answer.error()));
  }
  if (answer->status != 200) {
    return Error(StatusCode::kUnavailable, "HTTP {}: {}", answer->status, answer->body);
  }
  return idle ? CheckNoClients(answer->body) : common::OkStatus();
}

}  // namespace

Status CheckNoClients(std::string_view clients_page) {
  const auto page = nlohmann::json::parse(clients_page, nullptr, false);
  const auto clients = page.is_object() ? page.value("clients", nlohmann::json()) : page;
  if (!clients.is_array()) return Error(StatusCode::kUnavailable, "/clients is no list");
  if (clients.empty()) return common::OkStatus();
  return Error(StatusCode::kUnavailable, "{} clients are connected", clients.size());
}

int RunHealthcheck(int argc, const char* const* argv) {
  Question question;
  const common::Program program{.name = "tributary-agent healthcheck",
                                .version = common::BuildVersion(),
                                .summary = "Asks an agent on this host how it is; exits 0 or 1"};
  common::LoadOutcome loaded = common::LoadOptions(program, Table(question), argc - 1, argv + 1,
                                                   common::ProcessEnvironment());
  const auto address = common::ParseHostPort(question.admin);
  if (!loaded.exit_code && !address.ok()) {
    loaded =
        common::UsageError(program, "--admin: " + std::string(common::Message(address.status())));
  }
  if (loaded.exit_code) {
    std::fputs(loaded.text.c_str(), *loaded.exit_code == 0 ? stdout : stderr);
    return *loaded.exit_code;
  }
  const auto deadline = std::chrono::steady_clock::now() + question.wait;
  common::Mailbox<int> nobody(1);
  Status status = Ask(question, *address);
  while (!status.ok() && std::chrono::steady_clock::now() < deadline) {
    nobody.WaitAll(kBetweenTries);
    status = Ask(question, *address);
  }
  if (status.ok()) return EXIT_SUCCESS;
  std::fprintf(stderr, "%s\n", std::string(common::Message(status)).c_str());
  return question.lenient ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace agent

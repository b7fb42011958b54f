// CommandTable: every command this socket knows, as data. Dispatch, arity errors, COMMAND and the
// reference in docs/redis-commands.md come from the one array in command_table.cc.
//
// Thread: the specs any, a table its loop's.  Lifetime: specs are static; a table indexes them by
// name.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/server/write_port.h"
#include "agent/server/write_reply.h"

namespace agent {

class Session;

using Args = std::span<const std::string_view>;  // [0] is the command's name as sent

// A write command, understood but not yet submitted.
struct WriteRequest {
  std::vector<SocketWrite> writes;
  WriteReply reply = WriteReply::kOk;
};

using Handler = void (*)(Session& session, Args args);
// The error reply, or nullopt with `request` filled.
using WriteParser = std::optional<std::string> (*)(Args args, WriteRequest& request);

enum CommandFlags : unsigned {
  kReadOnly = 1U << 0,
  kWrite = 1U << 1,
  kFast = 1U << 2,
  kPubSub = 1U << 3,
  kNoMulti = 1U << 4,         // refused inside MULTI
  kTransaction = 1U << 5,     // acts at once inside MULTI
  kWhenSubscribed = 1U << 6,  // allowed to a subscribed RESP2 client
  kContainer = 1U << 7,       // its first argument names a subcommand
  kUnordered = 1U << 8,       // need not wait for the connection's earlier writes
};

struct CommandSpec {
  std::string_view name;  // upper case; "CLIENT|ID" for a subcommand
  int arity;              // with the name(s); negative: at least that many
  unsigned flags;
  int first_key;  // 0: takes no keys
  int last_key;   // negative: counted from the last argument
  int key_step;
  std::string_view group;
  std::string_view syntax;  // of what follows the name
  std::string_view summary;
  Handler handler = nullptr;    // exactly one of these two,
  WriteParser write = nullptr;  // none for a container
};

std::span<const CommandSpec> AllCommands();

class CommandTable {
 public:
  CommandTable();

  // Names in any case. Null: unknown. A container comes back as itself when args[1] names none of
  // its subcommands.
  const CommandSpec* Find(Args args) const;
  // By full name ("get", "client|id"), in any case.
  const CommandSpec* FindByName(std::string_view name) const;
  static std::size_t IndexOf(const CommandSpec& spec);

 private:
  // Clients say the same again and again: the name found last, as it was spelled.
  struct Last {
    std::array<char, 16> name = {};
    std::size_t size = 0;
    const CommandSpec* spec = nullptr;
  };
  const CommandSpec* FindAnew(Args args) const;

  mutable Last last_;
  std::unordered_map<std::string_view, const CommandSpec*> by_name_;
};

bool ArityFits(const CommandSpec& spec, std::size_t count);
std::string LowerCase(std::string_view text);
bool EqualsIgnoringCase(std::string_view a, std::string_view b);

// Positions of the keys in a call that fits the arity.
std::vector<std::size_t> KeyPositions(const CommandSpec& spec, std::size_t count);
// "readonly", "fast" …, as COMMAND names them.
std::vector<std::string_view> FlagNames(const CommandSpec& spec);

// Error replies, worded as Redis 7 does.
std::string UnknownCommandError(Args args);
std::string UnknownSubcommandError(Args args);
std::string ArityError(const CommandSpec& spec);

// The reference of all commands, as Markdown.
std::string CommandReference();

}  // namespace agent

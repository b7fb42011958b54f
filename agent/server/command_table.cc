#include "agent/server/command_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "agent/server/commands.h"

namespace agent {
namespace {

using namespace commands;  // NOLINT: the handlers, for the table below

constexpr unsigned kConnectionFlags = kFast;
constexpr unsigned kSubscribeFlags = kPubSub | kNoMulti | kWhenSubscribed;

// name, arity, flags, first, last, step, group, syntax, summary, handler | nullptr + write parser
constexpr CommandSpec kCommands[] = {
    // --- read
    {"GET", 2, kReadOnly | kFast, 1, 1, 1, "read", "key", "Value of a key", &Get},
    {"MGET", -2, kReadOnly | kFast, 1, -1, 1, "read", "key [key ...]",
     "Values of several keys, all of one snapshot", &MGet},
    {"EXISTS", -2, kReadOnly | kFast, 1, -1, 1, "read", "key [key ...]",
     "How many of the keys exist", &Exists},
    {"STRLEN", 2, kReadOnly | kFast, 1, 1, 1, "read", "key", "Length of a value in bytes", &StrLen},
    {"GETRANGE", 4, kReadOnly, 1, 1, 1, "read", "key start end", "Part of a value", &GetRange},
    {"SUBSTR", 4, kReadOnly, 1, 1, 1, "read", "key start end", "Old name of GETRANGE", &GetRange},
    {"TYPE", 2, kReadOnly | kFast, 1, 1, 1, "read", "key", "\"string\", or \"none\" if absent",
     &Type},
    {"TTL", 2, kReadOnly | kFast, 1, 1, 1, "read", "key",
     "Seconds until a key expires; -1: never, -2: absent", &Ttl},
    {"PTTL", 2, kReadOnly | kFast, 1, 1, 1, "read", "key", "TTL in milliseconds", &PTtl},
    {"EXPIRETIME", 2, kReadOnly | kFast, 1, 1, 1, "read", "key",
     "Unix time in seconds at which a key expires; -1: never, -2: absent", &ExpireTime},
    {"PEXPIRETIME", 2, kReadOnly | kFast, 1, 1, 1, "read", "key", "EXPIRETIME in milliseconds",
     &PExpireTime},
    {"SCAN", -2, kReadOnly, 0, 0, 0, "read", "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     "Walks all keys in order; what is there throughout is returned at least once", &Scan},
    {"KEYS", 2, kReadOnly, 0, 0, 0, "read", "dataset/pattern", "Keys of one dataset", &Keys},
    {"DBSIZE", 1, kReadOnly | kFast, 0, 0, 0, "read", "", "Number of keys in complete copies",
     &DbSize},
    {"RANDOMKEY", 1, kReadOnly, 0, 0, 0, "read", "", "Some key, not evenly distributed",
     &RandomKey},
    // --- write
    {"SET", -3, kWrite, 1, 1, 1, "write",
     "key value [NX | XX] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]",
     "Publishes a value; +OK means durable. NX, XX: only if the key is absent, present; else nil. "
     "GET: replies with what was there",
     nullptr, &ParseSet},
    {"SETNX", 3, kWrite | kFast, 1, 1, 1, "write", "key value", "SET NX that replies 1 or 0",
     nullptr, &ParseSetNx},
    {"SETEX", 4, kWrite, 1, 1, 1, "write", "key seconds value", "SET EX", nullptr, &ParseSetEx},
    {"PSETEX", 4, kWrite, 1, 1, 1, "write", "key milliseconds value", "SET PX", nullptr,
     &ParsePSetEx},
    {"GETSET", 3, kWrite | kFast, 1, 1, 1, "write", "key value", "SET GET", nullptr, &ParseGetSet},
    {"GETDEL", 2, kWrite | kFast, 1, 1, 1, "write", "key",
     "Deletes a key; replies with what was there", nullptr, &ParseGetDel},
    {"MSET", -3, kWrite, 1, -1, 2, "write", "key value [key value ...]",
     "Publishes several values as one atomic batch", nullptr, &ParseMSet},
    {"DEL", -2, kWrite, 1, -1, 1, "write", "key [key ...]",
     "Deletes keys as one atomic batch; replies how many there were", nullptr, &ParseDel},
    {"UNLINK", -2, kWrite, 1, -1, 1, "write", "key [key ...]", "The same as DEL", nullptr,
     &ParseDel},
    {"MULTI", 1, kFast | kTransaction | kUnordered, 0, 0, 0, "write", "",
     "Begins a transaction: its writes become one atomic batch", &Multi},
    {"EXEC", 1, kTransaction | kUnordered, 0, 0, 0, "write", "",
     "Publishes the transaction whole or not at all; its reads see what comes after", &Exec},
    {"DISCARD", 1, kFast | kTransaction | kUnordered, 0, 0, 0, "write", "",
     "Forgets the transaction", &Discard},
    {"WATCH", -2, kFast | kTransaction, 1, -1, 1, "write", "key [key ...]",
     "The next EXEC does nothing and replies nil if one of the keys has changed by then", &Watch},
    {"UNWATCH", 1, kFast, 0, 0, 0, "write", "", "Forgets what is watched", &Unwatch},
    // --- connection
    {"HELLO", -1, kConnectionFlags | kNoMulti, 0, 0, 0, "connection",
     "[protover [AUTH username password] [SETNAME clientname]]",
     "Chooses RESP2 or RESP3 and describes the server", &Hello},
    {"PING", -1, kConnectionFlags | kWhenSubscribed, 0, 0, 0, "connection", "[message]",
     "PONG, or the message", &Ping},
    {"ECHO", 2, kConnectionFlags, 0, 0, 0, "connection", "message", "The message", &Echo},
    {"AUTH", -2, kConnectionFlags | kNoMulti, 0, 0, 0, "connection", "[username] password",
     "An error: access is governed by the socket file's mode", &Auth},
    {"SELECT", 2, kConnectionFlags, 0, 0, 0, "connection", "0", "There is only database 0",
     &Select},
    {"QUIT", -1, kConnectionFlags | kTransaction | kWhenSubscribed, 0, 0, 0, "connection", "",
     "Closes the connection", &Quit},
    {"RESET", 1, kConnectionFlags | kTransaction | kWhenSubscribed, 0, 0, 0, "connection", "",
     "Makes the connection as new", &Reset},
    {"CLIENT", -2, kContainer, 0, 0, 0, "connection", "subcommand", "About connections"},
    {"CLIENT|ID", 2, kConnectionFlags, 0, 0, 0, "connection", "", "Id of this connection",
     &ClientId},
    {"CLIENT|SETNAME", 3, kConnectionFlags, 0, 0, 0, "connection", "name", "Names this connection",
     &ClientSetName},
    {"CLIENT|GETNAME", 2, kConnectionFlags, 0, 0, 0, "connection", "", "Name of this connection",
     &ClientGetName},
    {"CLIENT|SETINFO", 4, kConnectionFlags, 0, 0, 0, "connection",
     "LIB-NAME name | LIB-VER version", "Says which client library this is", &ClientSetInfo},
    {"CLIENT|INFO", 2, kConnectionFlags, 0, 0, 0, "connection", "",
     "This connection's line of LIST", &ClientInfo},
    {"CLIENT|LIST", -2, 0, 0, 0, 0, "connection", "[TYPE type] [ID id ...]",
     "One line for each connection", &ClientList},
    {"CLIENT|NO-EVICT", 3, kConnectionFlags, 0, 0, 0, "connection", "ON | OFF",
     "Accepted; clients are not evicted for memory", &ClientNoEvict},
    {"CLIENT|NO-TOUCH", 3, kConnectionFlags, 0, 0, 0, "connection", "ON | OFF",
     "Accepted; reads never change what is stored", &ClientNoEvict},
    {"CLIENT|TRACKING", -3, kConnectionFlags, 0, 0, 0, "connection",
     "ON | OFF [REDIRECT id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
     "Tells this client, or another, when keys that it may have cached change", &ClientTracking},
    {"CLIENT|CACHING", 3, kConnectionFlags, 0, 0, 0, "connection", "YES | NO",
     "Whether the keys of the next command are cached, with OPTIN or OPTOUT", &ClientCaching},
    {"CLIENT|GETREDIR", 2, kConnectionFlags, 0, 0, 0, "connection", "",
     "To which client tracking notices go; 0: this one, -1: tracking is off", &ClientGetRedir},
    {"CLIENT|TRACKINGINFO", 2, kConnectionFlags, 0, 0, 0, "connection", "",
     "How this connection tracks", &ClientTrackingInfo},
    // --- pubsub
    {"SUBSCRIBE", -2, kSubscribeFlags, 0, 0, 0, "pubsub", "channel [channel ...]",
     "Change notices of __keyspace@0__:<key> and __keyevent@0__:set|del", &Subscribe},
    {"PSUBSCRIBE", -2, kSubscribeFlags, 0, 0, 0, "pubsub", "pattern [pattern ...]",
     "Change notices of all channels that match", &PSubscribe},
    {"UNSUBSCRIBE", -1, kSubscribeFlags, 0, 0, 0, "pubsub", "[channel ...]",
     "Ends these subscriptions, or all to channels", &Unsubscribe},
    {"PUNSUBSCRIBE", -1, kSubscribeFlags, 0, 0, 0, "pubsub", "[pattern ...]",
     "Ends these subscriptions, or all to patterns", &PUnsubscribe},
    // --- server
    {"COMMAND", -1, kContainer, 0, 0, 0, "server", "", "Arity, flags and key positions of all",
     &Command},
    {"COMMAND|COUNT", 2, 0, 0, 0, 0, "server", "", "Number of commands", &CommandCount},
    {"COMMAND|DOCS", -2, 0, 0, 0, 0, "server", "[command ...]", "What commands do", &CommandDocs},
    {"COMMAND|INFO", -2, 0, 0, 0, 0, "server", "[command ...]", "Arity, flags and key positions",
     &CommandInfo},
    {"COMMAND|LIST", 2, 0, 0, 0, 0, "server", "", "Names of all commands", &CommandList},
    {"COMMAND|GETKEYS", -3, 0, 0, 0, 0, "server", "command [argument ...]",
     "The keys of a full command", &CommandGetKeys},
    {"CONFIG", -2, kContainer, 0, 0, 0, "server", "subcommand", "About settings"},
    {"CONFIG|GET", -3, 0, 0, 0, 0, "server", "pattern [pattern ...]",
     "Settings that clients ask for; the agent's own are at /config_dump", &ConfigGet},
    {"INFO", -1, 0, 0, 0, 0, "server", "[section ...]",
     "server, clients, memory, stats, replication, tributary", &Info},
    {"TIME", 1, kFast, 0, 0, 0, "server", "", "Unix time: seconds, microseconds", &Time},
    // --- own
    {"TRIB.GET", -2, kReadOnly | kFast, 1, 1, 1, "tributary",
     "key [MAXSTALE ms] [MINREV rev] [STRONG] [TIMEOUT ms] [WITHMETA]",
     "Value of a key, as fresh as asked for; WITHMETA: value, revision, age_ms, source", &TribGet},
    {"TRIB.MGET", -2, kReadOnly, 1, -1, 1, "tributary",
     "key [key ...] [MAXSTALE ms] [MINREV rev] [STRONG] [TIMEOUT ms] [WITHMETA]",
     "TRIB.GET of several keys; what local copies answer is of one snapshot", &TribMGet},
    {"TRIB.STATUS", -1, 0, 0, 0, 0, "tributary", "[dataset]",
     "State, position and freshness of each copy", &TribStatus},
    {"TRIB.LASTREV", 1, kFast, 0, 0, 0, "tributary", "",
     "\"<epoch>.<revision>\" of this connection's last write; nil before one", &TribLastRev},
    {"TRIB.CONSISTENCY", -2, kFast, 0, 0, 0, "tributary",
     "EVENTUAL | BOUNDED ms | STRONG | DEFAULT",
     "How fresh this connection's reads must be; DEFAULT: as the subscriptions say",
     &TribConsistency},
    {"TRIB.WAIT", 4, 0, 0, 0, 0, "tributary", "dataset rev timeout-ms",
     "OK when the local copies of a dataset hold a revision, else -TIMEOUT", &TribWait},
};

struct FlagName {
  unsigned flag;
  std::string_view name;
};
constexpr FlagName kFlagNames[] = {{kReadOnly, "readonly"},
                                   {kWrite, "write"},
                                   {kFast, "fast"},
                                   {kPubSub, "pubsub"},
                                   {kNoMulti, "no_multi"}};

// Redis' own that clients may try: what to do instead.
constexpr std::string_view kGiveTimeWithValue =
    "not supported: its expiry is set with the value, by SET key value EX|PX|EXAT|PXAT";
struct Unsupported {
  std::string_view name;
  std::string_view why;
};
constexpr Unsupported kUnsupported[] = {
    {"EXPIRE", kGiveTimeWithValue},
    {"PEXPIRE", kGiveTimeWithValue},
    {"EXPIREAT", kGiveTimeWithValue},
    {"PEXPIREAT", kGiveTimeWithValue},
    {"PERSIST", kGiveTimeWithValue},
    {"GETEX", kGiveTimeWithValue},
    {"MSETNX", "not supported: WATCH the keys, then MULTI, SET, EXEC"},
    {"INCR", "not supported: WATCH the key, then MULTI, SET, EXEC"},
    {"APPEND", "not supported: WATCH the key, then MULTI, SET, EXEC"}};

constexpr std::size_t kNameBytesMax = 64;

char Upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - ('a' - 'A')) : c; }

// At most `size` bytes, with what would break the reply's line made blank.
std::string Printable(std::string_view text, std::size_t size) {
  std::string out(text.substr(0, size));
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  return out;
}

// Markdown tables end a cell at '|' unless it is escaped.
void AppendTableCell(std::string_view text, std::string& out) {
  for (const char c : text) {
    if (c == '|') out.push_back('\\');
    out.push_back(c);
  }
}

}  // namespace

std::span<const CommandSpec> AllCommands() { return kCommands; }

CommandTable::CommandTable() {
  for (const CommandSpec& spec : kCommands) by_name_.emplace(spec.name, &spec);
}

const CommandSpec* CommandTable::FindByName(std::string_view name) const {
  std::array<char, kNameBytesMax> upper;
  if (name.size() > upper.size()) return nullptr;
  std::transform(name.begin(), name.end(), upper.begin(), Upper);
  const auto found = by_name_.find({upper.data(), name.size()});
  return found == by_name_.end() ? nullptr : found->second;
}

const CommandSpec* CommandTable::Find(Args args) const {
  const std::string_view name = args[0];
  if (name == std::string_view(last_.name.data(), last_.size)) return last_.spec;
  const CommandSpec* spec = FindAnew(args);
  const bool alone = spec != nullptr && (spec->flags & kContainer) == 0 &&
                     spec->name.size() == name.size();  // not a subcommand
  if (alone && name.size() <= last_.name.size()) {
    last_ = {.size = name.size(), .spec = spec};
    name.copy(last_.name.data(), name.size());
  }
  return spec;
}

const CommandSpec* CommandTable::FindAnew(Args args) const {
  if (args[0].find('|') != std::string_view::npos) return nullptr;
  const CommandSpec* spec = FindByName(args[0]);
  if (spec == nullptr || (spec->flags & kContainer) == 0 || args.size() < 2) return spec;
  const CommandSpec* inner = FindByName(fmt::format("{}|{}", spec->name, args[1].substr(0, 32)));
  return inner == nullptr ? spec : inner;
}

std::size_t CommandTable::IndexOf(const CommandSpec& spec) {
  return static_cast<std::size_t>(&spec - std::begin(kCommands));
}

bool ArityFits(const CommandSpec& spec, std::size_t count) {
  const auto actual = static_cast<int>(count);
  return spec.arity >= 0 ? actual == spec.arity : actual >= -spec.arity;
}

std::string LowerCase(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return Upper(x) == Upper(y); });
}

std::vector<std::size_t> KeyPositions(const CommandSpec& spec, std::size_t count) {
  std::vector<std::size_t> positions;
  if (spec.first_key == 0) return positions;
  const int last = spec.last_key >= 0 ? spec.last_key : static_cast<int>(count) + spec.last_key;
  for (int at = spec.first_key; at <= last; at += spec.key_step) {
    positions.push_back(static_cast<std::size_t>(at));
  }
  return positions;
}

std::vector<std::string_view> FlagNames(const CommandSpec& spec) {
  std::vector<std::string_view> names;
  for (const FlagName& flag : kFlagNames) {
    if ((spec.flags & flag.flag) != 0) names.push_back(flag.name);
  }
  return names;
}

std::string UnknownCommandError(Args args) {
  constexpr std::size_t kShown = 128;
  for (const Unsupported& command : kUnsupported) {
    if (!EqualsIgnoringCase(args[0], command.name)) continue;
    return fmt::format("ERR command '{}' is {}", command.name, command.why);
  }
  std::string begin;
  for (std::size_t i = 1; i < args.size() && begin.size() < kShown; ++i) {
    begin += fmt::format("'{}' ", Printable(args[i], kShown - begin.size()));
  }
  return fmt::format("ERR unknown command '{}', with args beginning with: {}",
                     Printable(args[0], kShown), begin);
}

std::string UnknownSubcommandError(Args args) {
  std::string upper(args[0]);
  std::transform(upper.begin(), upper.end(), upper.begin(), Upper);
  return fmt::format("ERR unknown subcommand '{}'. Try {} HELP.", Printable(args[1], 128), upper);
}

std::string ArityError(const CommandSpec& spec) {
  return fmt::format("ERR wrong number of arguments for '{}' command", LowerCase(spec.name));
}

std::string CommandReference() {
  std::string out;
  std::string_view group;
  for (const CommandSpec& spec : kCommands) {
    if (spec.handler == nullptr && spec.write == nullptr) continue;
    if (spec.group != group) {
      group = spec.group;
      out += fmt::format("{}### {}\n\n| command | what it does |\n|---|---|\n",
                         out.empty() ? "" : "\n", group);
    }
    out.append("| `");
    for (const char c : spec.name) out.push_back(c == '|' ? ' ' : c);
    if (!spec.syntax.empty()) out.push_back(' ');
    AppendTableCell(spec.syntax, out);
    out.append("` | ");
    AppendTableCell(spec.summary, out);
    out.append(" |\n");
  }
  return out;
}

}  // namespace agent

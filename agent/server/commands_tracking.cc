#include <algorithm>
#include <string>

#include "agent/server/arguments.h"
#include "agent/server/commands.h"
#include "agent/server/session.h"
#include "common/limits.h"

namespace agent::commands {
namespace {

constexpr std::string_view kNoSuchClient = "ERR The client ID you want redirect to does not exist";

// The options behind ON or OFF, onto `mode`; the error reply, or nullopt.
class ModeReader {
 public:
  ModeReader(Session& session, Args options, TrackingMode& mode)
      : session_(session), options_(options), mode_(mode) {}

  std::optional<std::string> Run() {
    while (at_ < options_.size()) {
      const std::string_view name = options_[at_++];
      if (Flag(name)) continue;
      if (at_ == options_.size()) return std::string(kSyntaxError);
      if (EqualsIgnoringCase(name, "REDIRECT")) {
        if (auto error = Redirect(options_[at_++])) return error;
      } else if (EqualsIgnoringCase(name, "PREFIX")) {
        mode_.prefixes.emplace_back(options_[at_++]);
      } else {
        return std::string(kSyntaxError);
      }
    }
    return std::nullopt;
  }

 private:
  bool Flag(std::string_view name) {
    bool* flag = EqualsIgnoringCase(name, "BCAST")    ? &mode_.broadcast
                 : EqualsIgnoringCase(name, "OPTIN")  ? &mode_.opt_in
                 : EqualsIgnoringCase(name, "OPTOUT") ? &mode_.opt_out
                 : EqualsIgnoringCase(name, "NOLOOP") ? &mode_.no_loop
                                                      : nullptr;
    if (flag != nullptr) *flag = true;
    return flag != nullptr;
  }

  std::optional<std::string> Redirect(std::string_view text) {
    if (mode_.redirect != 0) {
      return "ERR A client can only redirect to a single other client";
    }
    const auto id = ParseInteger<std::uint64_t>(text);
    if (!id) return std::string(kNotAnIntegerError);
    const Services& services = session_.services();
    const bool known = services.sessions.contains(*id) || services.shared.clients.LoopOf(*id);
    if (!known) return std::string(kNoSuchClient);
    mode_.redirect = *id;
    return std::nullopt;
  }

  Session& session_;
  const Args options_;
  TrackingMode& mode_;
  std::size_t at_ = 0;
};

}  // namespace

void ClientTracking(Session& session, Args args) {
  TrackingMode asked;
  asked.on = EqualsIgnoringCase(args[2], "ON");
  if (!asked.on && !EqualsIgnoringCase(args[2], "OFF")) return session.reply().Error(kSyntaxError);
  auto error = ModeReader(session, args.subspan(3), asked).Run();
  TrackingMode next;
  if (!error) error = NextMode(session.tracking(), asked, next);
  if (error) return session.reply().Error(*error);
  session.SetTracking(std::move(next));
  session.reply().Ok();
}

void ClientCaching(Session& session, Args args) {
  const TrackingMode& mode = session.tracking();
  RespWriter reply = session.reply();
  if (!mode.opt_in && !mode.opt_out) {
    return reply.Error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or "
        "OPTOUT mode enabled");
  }
  const bool yes = EqualsIgnoringCase(args[2], "YES");
  if (!yes && !EqualsIgnoringCase(args[2], "NO")) return reply.Error(kSyntaxError);
  if (yes && !mode.opt_in) {
    return reply.Error(
        "ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
  }
  if (!yes && !mode.opt_out) {
    return reply.Error(
        "ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
  }
  session.SetCaching(yes);
  reply.Ok();
}

void ClientGetRedir(Session& session, Args) {
  const TrackingMode& mode = session.tracking();
  session.reply().Integer(mode.on ? static_cast<std::int64_t>(mode.redirect) : -1);
}

void ClientTrackingInfo(Session& session, Args) {
  const TrackingMode& mode = session.tracking();
  std::vector<std::string_view> flags = {mode.on ? "on" : "off"};
  if (mode.broadcast) flags.emplace_back("bcast");
  if (mode.opt_in) flags.emplace_back("optin");
  if (mode.opt_out) flags.emplace_back("optout");
  if (session.caching()) flags.emplace_back(*session.caching() ? "caching-yes" : "caching-no");
  if (mode.no_loop) flags.emplace_back("noloop");
  if (session.redirect_broken()) flags.emplace_back("broken_redirect");
  RespWriter reply = session.reply();
  reply.Map(3);
  reply.Bulk("flags");
  reply.Set(flags.size());
  for (const std::string_view flag : flags) reply.Bulk(flag);
  reply.Bulk("redirect");
  reply.Integer(mode.on ? static_cast<std::int64_t>(mode.redirect) : -1);
  reply.Bulk("prefixes");
  reply.Array(mode.prefixes.size());
  for (const std::string& prefix : mode.prefixes) reply.Bulk(prefix);
}

}  // namespace agent::commands

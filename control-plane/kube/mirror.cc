#include "control-plane/kube/mirror.h"

#include <random>
#include <utility>

#include "common/backoff.h"

namespace cp {
namespace {

using common::StatusCode;

constexpr std::uint64_t kWatchSecondsMin = 240;
constexpr std::uint64_t kWatchSecondsMax = 480;

}  // namespace

Mirror::Mirror(MirrorOptions options, Reflector reflector, KubeApi& api, KubeMailbox& mailbox,
               common::Log& log)
    : options_(options),
      reflector_(std::move(reflector)),
      api_(api),
      mailbox_(mailbox),
      log_(log),
      thread_("kube-mirror", [this] { Run(); }) {}

Mirror::~Mirror() { stop_.Close(); }

void Mirror::Run() {
  std::random_device seed;
  common::Backoff backoff(options_.backoff_min, options_.backoff_max, seed());
  std::string complained;
  while (!stop_.closed()) {
    const common::Status status = reflector_.needs_list() ? List() : Watch();
    if (stop_.closed()) return;
    if (status.ok()) {
      backoff.Reset();
      complained.clear();
      // A watch that ends at once, again and again, must not become a busy loop.
      if (!reflector_.needs_list()) stop_.WaitAll(options_.backoff_min / 5);
      continue;
    }
    if (status.code() == StatusCode::kOutOfRange) reflector_.OnGone();
    const std::string told(common::Message(status));
    if (told != complained) log_.Warn("kubernetes api", {{"error", told}});
    complained = told;
    stop_.WaitAll(backoff.Next());
  }
}

common::Status Mirror::List() {
  ++lists_;
  const std::string path = reflector_.NextPath(0);
  ASSIGN_OR_RETURN(const KubeAnswer answer, api_.Call({.path = path}));
  RETURN_IF_ERROR(ToStatus(answer, "GET " + path));
  ASSIGN_OR_RETURN(std::vector<KubeEvent> events, reflector_.OnList(answer.body));
  return Post(std::move(events));
}

common::Status Mirror::Watch() {
  ++watches_;
  std::minstd_rand random(std::random_device{}());
  const std::uint64_t seconds =
      std::uniform_int_distribution<std::uint64_t>(kWatchSecondsMin, kWatchSecondsMax)(random);
  common::Status heard;
  const std::string path = reflector_.NextPath(seconds);
  ASSIGN_OR_RETURN(const KubeAnswer answer, api_.Watch(path, [&](std::string_view line) {
    auto events = reflector_.OnLine(line);
    heard = events.ok() ? Post(*std::move(events)) : events.status();
    return heard.ok() && !stop_.closed();
  }));
  RETURN_IF_ERROR(heard);
  return ToStatus(answer, "GET " + path);
}

common::Status Mirror::Post(std::vector<KubeEvent> events) {
  for (KubeEvent& event : events) {
    if (mailbox_.Post(std::move(event))) continue;
    reflector_.OnGone();  // what was lost comes again with the next list
    return absl::UnavailableError("too many changes are waiting");
  }
  return common::OkStatus();
}

}  // namespace cp

#include "control-plane/kube/kube_source.h"

#include <algorithm>
#include <ctime>
#include <future>
#include <utility>

#include "control-plane/kube/objects.h"

namespace cp {
namespace {

constexpr std::size_t kEventsMax = 10'000;

}  // namespace

std::string Rfc3339(std::int64_t unix_ms) {
  const std::time_t seconds = unix_ms / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

KubeSource::KubeSource(KubeSourceOptions options, KubeApi& api, const Store& store,
                       Committer& committer, std::function<HubStatus()> hub,
                       const common::Clock& clock, common::Log& log, common::Metrics& metrics)
    : options_(options),
      api_(api),
      store_(store),
      committer_(committer),
      hub_(std::move(hub)),
      clock_(clock),
      log_(log),
      objects_(metrics.AddGauge("tributary_control_plane_kubernetes_objects",
                                "Datasets and Subscriptions of the cluster")),
      refused_(metrics.AddGauge("tributary_control_plane_kubernetes_objects_refused",
                                "Of those, how many are not in force")),
      patches_(metrics.AddCounter("tributary_control_plane_kubernetes_status_patches_total",
                                  "Statuses written to the cluster")),
      failures_(metrics.AddCounter("tributary_control_plane_kubernetes_status_failures_total",
                                   "Statuses that the API server did not take")),
      mailbox_(kEventsMax) {}

KubeSource::~KubeSource() {
  api_.Stop();
  mirrors_.clear();
  mailbox_.Close();
}

void KubeSource::Start() {
  for (const auto& [kind, plural] :
       {std::pair{"Dataset", "datasets"}, std::pair{"Subscription", "subscriptions"}}) {
    mirrors_.push_back(std::make_unique<Mirror>(
        options_.mirror, Reflector(kind, fmt::format("{}/{}", kGroupPath, plural)), api_, mailbox_,
        log_));
  }
  thread_ = common::Thread("kube", [this] { Run(); });
}

void KubeSource::Run() {
  common::MonotonicTime next_status = clock_.Now() + options_.status_interval;
  while (!mailbox_.closed()) {
    const auto left = std::max(next_status - clock_.Now(), common::MonotonicTime::duration(0));
    std::vector<KubeEvent> events = mailbox_.WaitAll(left);
    if (mailbox_.closed()) return;
    for (const KubeEvent& event : events) sync_.OnEvent(event);
    if (!events.empty()) Apply();
    if (clock_.Now() < next_status) continue;
    // Other sources may have changed the catalog meanwhile: what was refused may go now.
    Apply();
    WriteStatuses();
    next_status = clock_.Now() + options_.status_interval;
  }
}

void KubeSource::Apply() {
  for (const DeclarationSync::Change& planned : sync_.Plan(*store_.catalog())) {
    const common::Status status = Submit(planned.change);
    sync_.OnOutcome(planned, status);
    if (status.ok()) {
      log_.Info(planned.change.object ? "object applied" : "object withdrawn",
                {{"kind", planned.change.kind}, {"name", planned.change.name}});
    }
  }
  objects_.Set(static_cast<double>(sync_.objects()));
  refused_.Set(static_cast<double>(sync_.refused()));
}

common::Status KubeSource::Submit(DeclarationChange change) {
  auto answer = std::make_shared<std::promise<common::Status>>();
  std::future<common::Status> decided = answer->get_future();
  std::vector<DeclarationChange> changes;
  changes.push_back(std::move(change));
  const bool taken = committer_.Submit(
      DeclareJob{.changes = std::move(changes),
                 .dry_run = false,
                 .done = [answer](const common::StatusOr<std::vector<std::string>>& outcome) {
                   answer->set_value(outcome.status());
                 }});
  return taken ? decided.get() : absl::UnavailableError("the store takes no changes just now");
}

void KubeSource::WriteStatuses() {
  const auto view = store_.OpenView();
  if (!view.ok()) return;
  const std::vector<StatusPatch> patches = sync_.Statuses(
      *store_.catalog(), **view, hub_(), Rfc3339(clock_.UnixMillis()), options_.patches_max);
  for (const StatusPatch& patch : patches) {
    if (mailbox_.closed()) return;
    const auto answer = CallJson(
        api_,
        {.method = "PATCH", .path = patch.path, .body = patch.body, .content_type = kMergePatch});
    const bool gone = answer.status().code() == common::StatusCode::kNotFound;
    if (answer.ok() || gone) {
      patches_.Increment();
      sync_.OnPatched(patch);
      continue;
    }
    failures_.Increment();
    log_.Warn("status not written", {{"kind", patch.key.kind},
                                     {"namespace", patch.key.space},
                                     {"name", patch.key.name},
                                     {"error", answer.status()}});
    // The next round tries again; an API server in trouble is not to be hammered.
    if (answer.status().code() == common::StatusCode::kUnavailable) return;
  }
}

}  // namespace cp

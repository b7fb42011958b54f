#include "control-plane/stream/hub_thread.h"

#include <algorithm>
#include <future>
#include <set>
#include <utility>

#include "common/limits.h"
#include "common/suggest.h"

namespace cp {
namespace {

constexpr std::size_t kEventsPerStream = 6;  // opened, request, written, ended twice, closed
constexpr std::size_t kNoticesMax = 10'000;
constexpr std::size_t kQuestionsMax = 10'000;
constexpr std::chrono::seconds kWakeEvery{60};
constexpr std::size_t kNackTextBytesMax = 500;  // in the log

std::size_t MailboxLimit(std::size_t streams_max) {
  return kEventsPerStream * streams_max + kNoticesMax + kQuestionsMax;
}

}  // namespace

// --- sink -------------------------------------------------------------------------------------

void HubThread::Sink::Send(StreamId stream, Response response) {
  streams.at(stream)->Write(response);
  trim.OnMessage(response.bytes(), clock_.Now());
}

void HubThread::Sink::ReadNext(StreamId stream) { streams.at(stream)->Read(); }

void HubThread::Sink::Close(StreamId stream, common::Status status) {
  log_.Warn(limiter_, "stream ended by the control plane",
            {{"stream", stream}, {"reason", status}});
  streams.at(stream)->End(status);
}

void HubThread::Sink::OnNack(StreamId stream, const Nack& nack) {
  log_.Warn(nack_limiter_, "response rejected by a client",
            {{"service", nack.service},
             {"instance", common::Printable(nack.instance, kNackTextBytesMax)},
             {"stream", stream},
             {"type", nack.type_url},
             {"error", common::Printable(nack.message, kNackTextBytesMax)}});
}

// --- any thread -------------------------------------------------------------------------------

HubThread::HubThread(const HubOptions& options, const common::Clock& clock, const Store& store,
                     common::Log& log)
    : clock_(clock),
      store_(store),
      sink_(log, clock),
      hub_(options, clock, store, sink_),
      mailbox_(MailboxLimit(options.streams_max)),
      thread_("hub", [this] { Run(); }) {}

HubThread::~HubThread() {
  mailbox_.Close();
  thread_.Join();
}

void HubThread::Post(Event event) { CHECK(mailbox_.Post(std::move(event))); }

void HubThread::PostOpened(StreamId id, StreamInfo info, std::unique_ptr<DeltaStream> stream) {
  Post(Opened{.id = id, .info = std::move(info), .stream = std::move(stream)});
}

void HubThread::PostRequest(StreamId id, common::StatusOr<Request> request) {
  Post(Requested{.id = id, .request = std::move(request)});
}

void HubThread::PostWriteDone(StreamId id, bool ok) { Post(Written{.id = id, .ok = ok}); }

void HubThread::PostEnd(StreamId id, common::Status status) {
  Post(Ended{.id = id, .status = std::move(status)});
}

void HubThread::PostClosed(StreamId id) { Post(Closed{.id = id}); }

void HubThread::OnCommitted(const std::vector<std::string>& datasets, CatalogPtr catalog) {
  const bool room = notices_.fetch_add(1) < kNoticesMax;
  if (room && mailbox_.Post(Committed{.datasets = datasets, .catalog = std::move(catalog)})) return;
  notices_.fetch_sub(1);
  notices_lost_.store(true);  // seen with the notices that wait
}

void HubThread::Drain() { (void)mailbox_.Post(DrainAll{}); }

template <class T>
T HubThread::Ask(const std::function<T(const Hub&)>& question) {
  auto answer = std::make_shared<std::promise<T>>();
  std::future<T> future = answer->get_future();
  const bool posted = mailbox_.Post(
      Question{.ask = [answer, question](const Hub& hub) { answer->set_value(question(hub)); }});
  return posted ? future.get() : T();
}

HubStatus HubThread::Status() {
  return Ask<HubStatus>([](const Hub& hub) { return hub.Status(); });
}

HubFigures HubThread::Figures() {
  return Ask<HubFigures>([](const Hub& hub) {
    return HubFigures{
        .counters = hub.counters(), .streams = hub.streams(), .unacked_bytes = hub.unacked_bytes()};
  });
}

// --- hub thread -------------------------------------------------------------------------------

void HubThread::Run() {
  while (true) {
    std::vector<Event> events = mailbox_.WaitAll(Wait());
    if (events.empty() && mailbox_.closed()) return;
    HandleCommits(events);
    for (Event& event : events) Handle(event);
    hub_.Step();
    sink_.trim.Step(clock_.Now());
  }
}

std::chrono::nanoseconds HubThread::Wait() const {
  std::optional<common::MonotonicTime> next = hub_.NextStep();
  if (const auto trim = sink_.trim.due()) next = std::min(next.value_or(*trim), *trim);
  if (!next) return kWakeEvery;
  return std::clamp<std::chrono::nanoseconds>(*next - clock_.Now(), {}, kWakeEvery);
}

// All notices that wait become one: a stream is sent the newest state once, not each step to it.
void HubThread::HandleCommits(std::vector<Event>& events) {
  std::set<std::string> datasets;
  CatalogPtr catalog;
  std::size_t count = 0;
  for (Event& event : events) {
    auto* const committed = std::get_if<Committed>(&event);
    if (committed == nullptr) continue;
    ++count;
    datasets.insert(committed->datasets.begin(), committed->datasets.end());
    if (committed->catalog != nullptr) catalog = std::move(committed->catalog);
  }
  notices_.fetch_sub(count);
  const bool lost = notices_lost_.exchange(false);
  if (count == 0 && !lost) return;
  if (lost) {
    catalog = store_.catalog();
    for (const auto& [name, declared] : catalog->datasets) datasets.insert(name);
  }
  hub_.OnCommitted({datasets.begin(), datasets.end()}, std::move(catalog));
}

void HubThread::Handle(Event& event) {
  if (auto* const opened = std::get_if<Opened>(&event)) {
    DeltaStream& stream = *opened->stream;
    sink_.streams.emplace(opened->id, std::move(opened->stream));
    hub_.OnOpened(opened->id, std::move(opened->info));
    stream.Read();
  } else if (auto* const requested = std::get_if<Requested>(&event)) {
    hub_.OnRequest(requested->id, std::move(requested->request));
  } else if (const auto* const written = std::get_if<Written>(&event)) {
    hub_.OnWriteDone(written->id, written->ok);
  } else if (const auto* const ended = std::get_if<Ended>(&event)) {
    const auto it = sink_.streams.find(ended->id);
    if (it != sink_.streams.end()) it->second->End(ended->status);
  } else if (const auto* const closed = std::get_if<Closed>(&event)) {
    hub_.OnClosed(closed->id);
    sink_.streams.erase(closed->id);
  } else if (const auto* const question = std::get_if<Question>(&event)) {
    question->ask(hub_);
  } else if (std::holds_alternative<DrainAll>(event)) {
    hub_.Drain();
  }
}

}  // namespace cp

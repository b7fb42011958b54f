#include "tests/sim/sim_link.h"

#include <utility>

namespace sim {

void SimWorld::Link::Later(common::MonotonicTime& not_before, std::function<void()> event) {
  const common::MonotonicTime time = std::max(not_before, world_.queue_.Now() + Delay());
  not_before = time;
  world_.queue_.At(time, [this, stream = stream_, run = std::move(event)] {
    if (stream_ == stream) run();
  });
}

void SimWorld::Link::ConnectLater() {
  const std::uint64_t life = ++life_;
  world_.queue_.After(std::chrono::milliseconds(500 + world_.Random(1500)), [this, life] {
    if (life == life_ && stream_ == 0) Connect();
  });
}

void SimWorld::Link::Connect() {
  stream_ = ++world_.last_stream_;
  requests_.clear();
  hub_reads_ = true;
  up_ = down_ = world_.queue_.Now();
  world_.control_plane_->hub().OnOpened(stream_, {.peer = "sim", .identity = ""});
  if (stream_ == 0) return;
  agent_.core().OnConnecting("sim");
  agent_.core().OnOpened();
  Tick();
}

void SimWorld::Link::Tick() {
  world_.control_plane_->hub().Step();
  const common::MonotonicTime next = agent_.core().Tick();
  const common::MonotonicTime soon = world_.queue_.Now() + std::chrono::milliseconds(1);
  world_.queue_.At(std::clamp(next, soon, soon + std::chrono::seconds(1)), [this, life = life_] {
    if (life == life_) Tick();
  });
}

void SimWorld::Link::Send(const common::DeltaRequest& request) {
  if (stream_ == 0) return;
  Later(up_, [this, bytes = common::EncodeDeltaRequest(request)]() mutable {
    requests_.push_back(std::move(bytes));
    PumpRequests();
  });
}

void SimWorld::Link::PumpRequests() {
  if (!hub_reads_ || requests_.empty() || stream_ == 0) return;
  hub_reads_ = false;
  const std::string bytes = std::move(requests_.front());
  requests_.pop_front();
  world_.control_plane_->hub().OnRequest(stream_, cp::ParseRequest(cp::Variant::kDelta, bytes));
}

void SimWorld::Link::ReadNext() {
  hub_reads_ = true;
  Later(up_, [this] { PumpRequests(); });
}

void SimWorld::Link::Deliver(cp::Response response) {
  auto bytes = std::make_shared<std::string>();
  for (const cp::SharedBytes& piece : response.pieces) bytes->append(*piece);
  CHECK(bytes->size() <= common::kResponseBytesMax);
  ++world_.responses;
  Later(down_, [this, bytes] {
    agent_.core().OnResponse(bytes);
    if (stream_ != 0) world_.control_plane_->hub().OnWriteDone(stream_, true);
  });
}

void SimWorld::Link::BreakLater(const common::Status& why) {
  Later(down_, [this, why] { Break(why); });
}

void SimWorld::Link::Break(const common::Status& why) {
  if (stream_ == 0) return;
  const cp::StreamId stream = std::exchange(stream_, 0);
  agent_.core().OnClosed(why);
  // The server notices later than the client, by then the client may be back on another stream.
  world_.queue_.After(Delay() * 20,
                      [this, stream] { world_.control_plane_->hub().OnClosed(stream); });
  ConnectLater();
}

void SimWorld::Link::RestartAgent() {
  const cp::StreamId stream = std::exchange(stream_, 0);
  if (stream != 0) world_.control_plane_->hub().OnClosed(stream);
  agent_.Restart();
  ConnectLater();
}

}  // namespace sim

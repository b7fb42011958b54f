// Session: what its client may have cached, and telling it when that changes.
#include <algorithm>
#include <utility>

#include "agent/server/session.h"

namespace agent {
void Session::SetTracking(TrackingMode mode) {
  tracking_ = std::move(mode);
  caching_.reset();
  redirect_broken_ = false;
  deferred_.clear();
  not_fresh_ = CopiesNotFresh();
  services_.tracking.SetMode(*this, tracking_);
  // What is read from now on must be of a time at which changes were already collected.
  services_.snapshot.Release();
}

void Session::NoteRead(std::string_view client_key, bool remote) {
  if (!tracking_.on) return;
  const bool caches = tracking_.opt_in ? caching_ == true : !tracking_.opt_out || caching_ != false;
  if (!caches) return;
  if (remote) {
    not_kept_.emplace_back(client_key);
  } else if (!tracking_.broadcast) {
    services_.tracking.OnRead(*this, client_key);
  }
}

// Nobody tells this agent when a key changes that the control plane has answered for, so its reply
// is not to be kept: it is taken back right behind it.
void Session::TakeBackNotKept() {
  for (const std::string& key : std::exchange(not_kept_, {})) SendInvalid(key);
  FlushPushes();
}

// Copies from which this client's reads would not be answered now.
std::size_t Session::CopiesNotFresh() const {
  const common::MonotonicTime now = services_.clock.Now();
  const auto status = services_.status.Get();
  const auto unfit = [&](const CopyStatus& copy) {
    if (copy.mode == common::Mode::kReadThrough) return false;  // never kept
    return copy.phase == CopyPhase::kFaulted || copy.digest_mismatch ||
           Judge(&copy, default_need_, now).path != ReadPath::kLocal;
  };
  return static_cast<std::size_t>(
      std::count_if(status->copies.begin(), status->copies.end(), unfit));
}

void Session::CheckKept() {
  if (!tracking_.on) return;
  const std::size_t count = CopiesNotFresh();
  if (count > std::exchange(not_fresh_, count)) OnAllInvalid();
}

bool Session::IsOwnWrite(std::string_view key, const common::Version& version) {
  if (!tracking_.no_loop || version.revision == 0) return false;
  for (const auto& [ticket, write] : writes_) {
    if (std::find(write.keys.begin(), write.keys.end(), key) == write.keys.end()) continue;
    if (!write.decided) {  // OnOutcome looks again
      deferred_.push_back({std::string(key), version});
      return true;
    }
    if (write.outcome.version == version) return true;
  }
  return false;
}

void Session::OnKeyInvalid(std::string_view key, const common::Version& version) {
  if (!IsOwnWrite(key, version)) SendInvalid(key);
}

void Session::OnAllInvalid() { SendInvalid(std::nullopt); }

void Session::SendInvalid(std::optional<std::string_view> key) {
  if (tracking_.redirect == 0) return TakeInvalid(key);
  const auto found = services_.sessions.find(tracking_.redirect);
  if (found != services_.sessions.end()) return found->second->TakeInvalid(key);
  const auto loop = services_.shared.clients.LoopOf(tracking_.redirect);
  if (loop && *loop != services_.loop) {
    return services_.shared.loops[*loop]->Invalidate(tracking_.redirect, key);
  }
  if (std::exchange(redirect_broken_, true) || client_.resp != RespVersion::k3) return;
  RespWriter writer(pushes_, client_.resp);
  writer.Push(2);
  writer.Bulk("tracking-redir-broken");
  writer.Integer(static_cast<std::int64_t>(tracking_.redirect));
  FlushPushes();
}

// Behind the replies that are composed already: the client must not take an older value for newer
// than this. Never inside of one.
void Session::FlushPushes() {
  if (pushes_.empty() || running_ != nullptr || target_ != nullptr) return;
  replies_.tail() += std::exchange(pushes_, {});
  Touch();
}

void Session::TakeInvalid(std::optional<std::string_view> key) {
  if (!TakesMessages()) return;
  RespWriter writer(pushes_, client_.resp);
  if (client_.resp == RespVersion::k3) {
    writer.Push(2);
    writer.Bulk("invalidate");
  } else {
    if (channels_.find(kInvalidateChannel) == channels_.end()) return;
    writer.Array(3);
    writer.Bulk("message");
    writer.Bulk(kInvalidateChannel);
  }
  if (key) {
    writer.Array(1);
    writer.Bulk(*key);
  } else {
    writer.Null();
  }
  FlushPushes();
}

}  // namespace agent

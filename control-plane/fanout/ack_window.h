// AckWindow: the responses of one stream and type that the client has not answered yet.
//
// Thread: hub.  Lifetime: one stream and type; pure.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/names.h"
#include "control-plane/fanout/response_sink.h"
#include "control-plane/store/store.h"

namespace cp {

// A dataset's state as it was told to the client.
struct SentState {
  std::string dataset;
  Revision revision = 0;
};

// What the server must remember of a response until it is answered.
struct SentResponse {
  std::uint64_t nonce = 0;
  std::size_t bytes = 0;
  common::MonotonicTime sent_at{};
  std::vector<std::string> names = {};       // resources answered by name
  std::vector<SentState> states = {};        // of type DatasetState
  common::Collection collection = {};        // of a collection's response; dataset empty otherwise
  std::optional<Revision> complete_to = {};  // the cursor that this response completes
  SharedBytes body = {};  // of a collection's response to a client without markers
  int halvings = 0;       // of a response that answers rejected names again
};

class AckWindow {
 public:
  void Add(SentResponse response) {
    bytes_ += Weight(response);
    waiting_.push_back(std::move(response));
  }

  // Everything sent up to the response with `nonce`, oldest first, so that back() is the answered
  // one: a client answers in order, an answer skipped means acceptance. Empty: the nonce is stale.
  std::vector<SentResponse> Take(std::uint64_t nonce) {
    std::vector<SentResponse> taken;
    if (waiting_.empty() || nonce < waiting_.front().nonce) return taken;
    std::size_t count = 0;
    while (count < waiting_.size() && waiting_[count].nonce < nonce) ++count;
    if (count == waiting_.size() || waiting_[count].nonce != nonce) return taken;
    for (std::size_t i = 0; i <= count; ++i) {
      bytes_ -= Weight(waiting_.front());
      taken.push_back(std::move(waiting_.front()));
      waiting_.pop_front();
    }
    return taken;
  }

  // Forgets everything: a client that no longer watches a type may leave its responses unanswered.
  void Clear() {
    waiting_.clear();
    bytes_ = 0;
  }

  // What counts against the stream's un-ACKed window.
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return waiting_.size(); }

 private:
  // Small responses cost the memory of their record.
  static std::size_t Weight(const SentResponse& response) { return response.bytes + 1024; }

  std::deque<SentResponse> waiting_;
  std::size_t bytes_ = 0;
};

}  // namespace cp

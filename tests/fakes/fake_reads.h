// FakeReads: a read port without a control plane. Refuses every question unless told what to
// answer.
//
// Thread: any.  Lifetime: outlives the server.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "agent/server/read_port.h"

namespace agent {

class FakeReads final : public ReadPort {
 public:
  using Answer = std::function<ReadAnswer(const ReadQuestion&)>;

  explicit FakeReads(Answer answer = Refuse) : answer_(std::move(answer)) {}

  void Read(std::vector<ReadQuestion> questions) override {
    for (const ReadQuestion& question : questions) question.done(answer_(question));
  }

 private:
  static ReadAnswer Refuse(const ReadQuestion&) {
    return {.status = common::Error(common::StatusCode::kUnavailable, "there is no control plane"),
            .entries = {}};
  }
  const Answer answer_;
};

}  // namespace agent

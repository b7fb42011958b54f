#include "agent/read_router.h"

#include <memory>
#include <utility>

namespace agent {
namespace {

ReadAnswer ToReadAnswer(DemandAnswer answer) {
  ReadAnswer out{.status = std::move(answer.status), .as_of = answer.as_of, .shared = true};
  for (DemandEntry& entry : answer.entries) {
    if (entry.found) out.epoch = entry.version.epoch;
    out.entries.push_back({.key = std::move(entry.key),
                           .found = entry.found,
                           .value = std::move(entry.value),
                           .content_type = std::move(entry.content_type),
                           .version = entry.version,
                           .published_at_ms = entry.published_at_ms,
                           .expires_at_ms = entry.expires_at_ms});
  }
  return out;
}

}  // namespace

void ReadRouter::Read(std::vector<ReadQuestion> questions) {
  std::vector<ReadQuestion> strong;
  std::vector<DemandQuestion> demand;
  for (ReadQuestion& question : questions) {
    if (question.kind == ReadQuestion::Kind::kStrong || !ask_) {
      strong.push_back(std::move(question));
      continue;
    }
    auto asked = std::make_shared<ReadQuestion>(std::move(question));
    demand.push_back({.dataset = asked->dataset,
                      .keys = asked->keys,
                      .deadline = asked->deadline,
                      .done = [this, asked](DemandAnswer answer) {
                        Answer(*asked, std::move(answer));
                      }});
  }
  if (!strong.empty()) remote_.Read(std::move(strong));
  if (!demand.empty()) ask_(std::move(demand));
}

// A copy that has gone meanwhile, because the dataset is carried in another way from now on, leaves
// readers behind who have seen it: the control plane answers them.
void ReadRouter::Answer(const ReadQuestion& question, DemandAnswer answer) {
  if (answer.status.code() != common::StatusCode::kFailedPrecondition) {
    return question.done(ToReadAnswer(std::move(answer)));
  }
  ReadQuestion again = question;
  again.kind = ReadQuestion::Kind::kStrong;
  std::vector<ReadQuestion> questions;
  questions.push_back(std::move(again));
  remote_.Read(std::move(questions));
}

}  // namespace agent

#include "control-plane/ctl/copy_rows.h"

#include "control-plane/ctl/progress.h"
#include "control-plane/ctl/table.h"

namespace ctl {

using std::chrono::milliseconds;

std::string AgeText(std::int64_t ms) {
  return ms < 0 ? "unknown" : ShortDuration(milliseconds(ms));
}

Json ToJson(const tributary::v1::AgentStatus& agent) {
  return {{"service", agent.service()},
          {"instance", agent.instance()},
          {"peer", agent.peer()},
          {"user_agent", agent.user_agent()},
          {"connected_ms", agent.connected_ms()},
          {"unacked_bytes", agent.unacked_bytes()}};
}

Json ToJson(const tributary::v1::CopyStatus& copy) {
  return {{"service", copy.service()}, {"instance", copy.instance()}, {"dataset", copy.dataset()},
          {"prefix", copy.prefix()},   {"state", copy.state()},       {"revision", copy.revision()},
          {"head", copy.head()},       {"lag", copy.lag()},           {"lag_ms", copy.lag_ms()},
          {"age_ms", copy.age_ms()},   {"digest", copy.digest()}};
}

Json ToJson(const tributary::v1::DatasetStatus& dataset) {
  return {{"name", dataset.name()},         {"owner", dataset.owner()},
          {"revision", dataset.revision()}, {"entries", dataset.entries()},
          {"bytes", dataset.bytes()},       {"digest", dataset.digest()},
          {"floor", dataset.floor()},       {"tombstones", dataset.tombstones()}};
}

void PrintJson(const Session& session, const Json& json) {
  const auto replace = Json::error_handler_t::replace;
  session.io.out << (session.output == Output::kYaml ? ToYaml(json)
                                                     : json.dump(2, ' ', false, replace) + "\n");
}

std::string CopyTable(const CopyRows& copies) {
  Table table({"SERVICE", "INSTANCE", "DATASET", "PREFIX", "STATE", "REVISION", "LAG", "LAG-TIME",
               "AGE", "DIGEST"});
  for (const auto& copy : copies) {
    table.Add({copy.service(), copy.instance(), copy.dataset(), copy.prefix(), copy.state(),
               std::to_string(copy.revision()), std::to_string(copy.lag()), AgeText(copy.lag_ms()),
               AgeText(copy.age_ms()), copy.digest()});
  }
  return table.Print();
}

}  // namespace ctl

// get, describe, status.
#include <algorithm>
#include <array>

#include "common/suggest.h"
#include "control-plane/ctl/admin_calls.h"
#include "control-plane/ctl/copy_rows.h"
#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/table.h"
#include "control-plane/ctl/verb.h"

namespace ctl {
namespace {

using common::InvalidArgument;
using common::OkStatus;

std::string ConsistencyText(const Json& object) {
  std::string text = TextAt(object, {"spec", "consistency", "level"});
  const std::string bound = TextAt(object, {"spec", "consistency", "maxStaleness"});
  if (!bound.empty()) {
    text += fmt::format(" {} {}", bound, TextAt(object, {"spec", "consistency", "onStale"}));
  }
  return text;
}

std::string Joined(const Json& object, const char* field) {
  std::string text;
  if (!object.contains("spec") || !object["spec"].contains(field)) return text;
  for (const Json& item : object["spec"][field]) {
    text += (text.empty() ? "" : ",") + (item.is_string() ? item.get<std::string>() : item.dump());
  }
  return text;
}

std::string DatasetTable(const std::vector<Json>& objects) {
  Table table({"NAME", "OWNER", "CONSUMERS", "ENTRIES", "BYTES", "REVISION", "SOURCE"});
  for (const Json& object : objects) {
    table.Add({TextAt(object, {"metadata", "name"}), TextAt(object, {"spec", "owner"}),
               Joined(object, "consumers"), TextAt(object, {"status", "entries"}),
               TextAt(object, {"status", "bytes"}), TextAt(object, {"status", "revision"}),
               TextAt(object, {"status", "source"})});
  }
  return table.Print();
}

std::string SubscriptionTable(const std::vector<Json>& objects) {
  Table table({"NAME", "SERVICE", "DATASET", "PREFIX", "MODE", "CONSISTENCY", "SOURCE"});
  for (const Json& object : objects) {
    table.Add({TextAt(object, {"metadata", "name"}), TextAt(object, {"spec", "service"}),
               TextAt(object, {"spec", "dataset"}), TextAt(object, {"spec", "prefix"}),
               TextAt(object, {"spec", "mode"}), ConsistencyText(object),
               TextAt(object, {"status", "source"})});
  }
  return table.Print();
}

class Get final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("kind", kind_, "datasets, subscriptions or agents")->required();
    app.add_option("name", name_, "only this one; of an agent: its service");
  }
  Status Check() const override {
    if (!KindOfWord(kind_).empty()) return OkStatus();
    static constexpr std::array<std::string_view, 3> kKnown = {"datasets", "subscriptions",
                                                               "agents"};
    return InvalidArgument("get {}: must be datasets, subscriptions or agents{}", kind_,
                           common::DidYouMean(kind_, kKnown));
  }
  Status Run(const Session& session) override {
    const std::string kind(KindOfWord(kind_));
    if (kind == "Agent") return GetAgents(session);
    ASSIGN_OR_RETURN(const std::vector<Json> objects,
                     ListObjects(*session.connection, kind, name_));
    switch (session.output) {
      case Output::kTable:
        session.io.out << (kind == "Dataset" ? DatasetTable(objects) : SubscriptionTable(objects));
        break;
      case Output::kYaml:
        session.io.out << ToYamlDocuments(objects);
        break;
      case Output::kJson:
        PrintJson(session, name_.empty() ? Json(objects) : objects.at(0));
    }
    return OkStatus();
  }

 private:
  Status GetAgents(const Session& session) const {
    ASSIGN_OR_RETURN(const tributary::v1::StatusResponse status,
                     GetStatus(*session.connection, ""));
    Json rows = Json::array();
    Table table({"SERVICE", "INSTANCE", "PEER", "CONNECTED", "UNACKED", "USER-AGENT"});
    for (const auto& agent : status.agents()) {
      if (!name_.empty() && agent.service() != name_) continue;
      rows.push_back(ToJson(agent));
      table.Add({agent.service(), agent.instance(), agent.peer(), AgeText(agent.connected_ms()),
                 std::to_string(agent.unacked_bytes()), agent.user_agent()});
    }
    if (!name_.empty() && rows.empty()) {
      return common::Error(common::StatusCode::kNotFound, "no agent of service {} is connected",
                           name_);
    }
    if (session.output == Output::kTable) {
      session.io.out << table.Print();
    } else {
      PrintJson(session, rows);
    }
    return OkStatus();
  }

  std::string kind_;
  std::string name_;
};

class Describe final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("kind", kind_, "dataset or subscription")->required();
    app.add_option("name", name_, "its name")->required();
  }
  Status Check() const override {
    const std::string_view kind = KindOfWord(kind_);
    if (kind == "Dataset" || kind == "Subscription") return OkStatus();
    return InvalidArgument("describe {}: must be dataset or subscription", kind_);
  }
  Status Run(const Session& session) override {
    const std::string kind(KindOfWord(kind_));
    const Connection& connection = *session.connection;
    ASSIGN_OR_RETURN(const std::vector<Json> objects, ListObjects(connection, kind, name_));
    const Json& object = objects.at(0);
    if (session.output != Output::kTable) {
      PrintJson(session, object);
      return OkStatus();
    }
    session.io.out << fmt::format("kind: {}\n", kind)
                   << ToYaml(object.value("metadata", Json::object()))
                   << ToYaml(object.value("spec", Json::object()));
    if (object.contains("status"))
      session.io.out << "status:\n" << Indented(ToYaml(object["status"]));
    const std::string dataset = kind == "Dataset" ? name_ : TextAt(object, {"spec", "dataset"});
    if (kind == "Dataset") RETURN_IF_ERROR(PrintSubscriptions(session, dataset));
    return PrintCopies(session, dataset, TextAt(object, {"spec", "service"}));
  }

 private:
  static std::string Indented(const std::string& text) {
    std::string out;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
      out += "  " + text.substr(begin, end - begin);
      begin = end;
    }
    return out;
  }

  static Status PrintSubscriptions(const Session& session, const std::string& dataset) {
    ASSIGN_OR_RETURN(std::vector<Json> all, ListObjects(*session.connection, "Subscription", ""));
    std::erase_if(all, [&](const Json& each) {
      return TextAt(each, {"spec", "dataset"}) != dataset;
    });
    session.io.out << "\nSubscriptions: " << all.size() << '\n';
    if (!all.empty()) session.io.out << SubscriptionTable(all);
    return OkStatus();
  }

  // Only those of `service`, unless it is empty.
  static Status PrintCopies(const Session& session, const std::string& dataset,
                            const std::string& service) {
    StatusOr<tributary::v1::StatusResponse> status = GetStatus(*session.connection, dataset);
    if (status.status().code() == common::StatusCode::kNotFound)
      return OkStatus();  // subscribed but not declared
    RETURN_IF_ERROR(status.status());
    tributary::v1::StatusResponse shown;
    for (const auto& copy : status->copies()) {
      if (service.empty() || copy.service() == service) *shown.add_copies() = copy;
    }
    session.io.out << "\nCopies: " << shown.copies_size() << '\n';
    if (shown.copies_size() > 0) session.io.out << CopyTable(shown.copies());
    return OkStatus();
  }

  std::string kind_;
  std::string name_;
};

class StatusVerb final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("dataset", dataset_, "only copies of this dataset");
  }
  Status Run(const Session& session) override {
    ASSIGN_OR_RETURN(const tributary::v1::StatusResponse status,
                     GetStatus(*session.connection, dataset_));
    if (session.output == Output::kTable) {
      session.io.out << CopyTable(status.copies());
      return OkStatus();
    }
    PrintJson(session, {{"agents", ToJsonArray(status.agents())},
                        {"copies", ToJsonArray(status.copies())},
                        {"datasets", ToJsonArray(status.datasets())}});
    return OkStatus();
  }

 private:
  std::string dataset_;
};

}  // namespace

std::unique_ptr<Verb> MakeGet() { return std::make_unique<Get>(); }
std::unique_ptr<Verb> MakeDescribe() { return std::make_unique<Describe>(); }
std::unique_ptr<Verb> MakeStatus() { return std::make_unique<StatusVerb>(); }

}  // namespace ctl

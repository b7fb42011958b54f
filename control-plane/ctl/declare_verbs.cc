// apply, and delete of declared objects and of entries.
#include <map>
#include <set>

#include "common/declarations.h"
#include "common/limits.h"
#include "common/rpc/status.h"
#include "common/suggest.h"
#include "control-plane/ctl/files.h"
#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/publish_once.h"
#include "control-plane/ctl/verb.h"
#include "tributary/v1/admin.grpc.pb.h"

namespace ctl {
namespace {

using common::Declaration;
using common::InvalidArgument;
using common::OkStatus;

std::string_view LowerKind(std::string_view kind) {
  return kind == "Dataset" ? "dataset" : "subscription";
}

// All objects of all files; every fault of every file, or none of the objects.
StatusOr<std::vector<Declaration>> ReadDeclarations(const std::vector<std::string>& paths,
                                                    std::istream& in) {
  std::vector<Declaration> objects;
  std::string faults;
  std::map<std::string, std::string> first_file;
  const auto complain = [&](std::string_view fault) {
    faults += fmt::format("{}{}", faults.empty() ? "" : "\n", fault);
  };
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const std::vector<FileText> files, ReadTexts(path, in, common::kYamlBytesMax));
    for (const FileText& file : files) {
      auto parsed = common::ParseDeclarations(file.text, file.name);
      if (!parsed.ok()) {
        complain(common::Message(parsed.status()));
        continue;
      }
      for (Declaration& object : *parsed) {
        const std::string identity =
            fmt::format("{} {}", LowerKind(KindOf(object)), NameOf(object));
        const auto [first, is_new] = first_file.emplace(identity, file.name);
        if (!is_new) {
          complain(fmt::format("{}: {} is declared in {}, too: remove one", file.name, identity,
                               first->second));
        }
        objects.push_back(std::move(object));
      }
    }
  }
  if (!faults.empty()) return common::Error(common::StatusCode::kInvalidArgument, "{}", faults);
  if (objects.empty()) return InvalidArgument("nothing is declared in {}", fmt::join(paths, ", "));
  return objects;
}

// What delete and apply tell: rows for programs, one line each for people.
class Outcomes {
 public:
  explicit Outcomes(const Session& session) : session_(session) {}
  void Add(std::string_view kind, const std::string& name, const std::string& outcome,
           std::string_view note = {}) {
    if (session_.output == Output::kTable) {
      session_.io.out << fmt::format("{} {} {}{}\n", LowerKind(kind), name, outcome, note);
    }
    rows_.push_back({{"kind", kind}, {"name", name}, {"outcome", outcome}});
  }
  ~Outcomes() {
    if (session_.output == Output::kJson) session_.io.out << rows_.dump(2) << '\n';
    if (session_.output == Output::kYaml) session_.io.out << ToYaml(rows_);
  }
  Outcomes(const Outcomes&) = delete;
  Outcomes& operator=(const Outcomes&) = delete;

 private:
  const Session& session_;
  Json rows_ = Json::array();
};

class Apply final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("-f,--filename", files_, "file, folder, or - for standard input; repeatable")
        ->required()
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    app.add_flag("--dry-run", dry_run_, "check only, change nothing");
  }

  Status Run(const Session& session) override {
    ASSIGN_OR_RETURN(const std::vector<Declaration> objects,
                     ReadDeclarations(files_, session.io.in));
    tributary::v1::ApplyRequest request;
    for (const Declaration& object : objects) request.add_objects(common::ToJson(object));
    request.set_dry_run(dry_run_);
    tributary::v1::ApplyResponse response;
    grpc::ClientContext context;
    session.connection->Prepare(context);
    const auto stub = tributary::v1::Admin::NewStub(session.connection->channel());
    const grpc::Status status = stub->Apply(&context, request, &response);
    if (!status.ok()) return common::FromGrpc(status);
    if (response.outcomes_size() != static_cast<int>(objects.size())) {
      return common::Error(common::StatusCode::kInternal,
                           "the control plane answered for {} of {} objects",
                           response.outcomes_size(), objects.size());
    }
    Print(objects, response, session);
    return OkStatus();
  }

 private:
  void Print(const std::vector<Declaration>& objects, const tributary::v1::ApplyResponse& response,
             const Session& session) const {
    Outcomes outcomes(session);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      outcomes.Add(KindOf(objects[i]), NameOf(objects[i]), response.outcomes(static_cast<int>(i)),
                   dry_run_ ? " (dry run)" : "");
    }
  }

  std::vector<std::string> files_;
  bool dry_run_ = false;
};

Status DeleteObject(const Session& session, const std::string& kind, const std::string& name) {
  tributary::v1::DeleteRequest request;
  request.set_kind(kind);
  request.set_name(name);
  tributary::v1::DeleteResponse response;
  grpc::ClientContext context;
  session.connection->Prepare(context);
  const auto stub = tributary::v1::Admin::NewStub(session.connection->channel());
  const grpc::Status status = stub->Delete(&context, request, &response);
  return status.ok() ? OkStatus() : common::FromGrpc(status);
}

class Delete final : public Verb {
 public:
  void Define(CLI::App& app) override {
    app.add_option("what", words_,
                   "dataset NAME… or subscription NAME…; or DATASET KEY…: entries of a dataset");
    app.add_option("-f,--filename", files_, "withdraw what these files declare; repeatable")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }
  Status Check() const override {
    if (files_.empty() == words_.empty()) return InvalidArgument("delete: give KIND NAME, or -f");
    if (files_.empty() && words_.size() < 2) {
      return InvalidArgument("delete {}: the name of what to delete is missing", words_[0]);
    }
    if (!words_.empty() && KindOfWord(words_[0]) == "Agent") {
      return InvalidArgument("agents cannot be deleted: they come and go by themselves");
    }
    return OkStatus();
  }

  Status Run(const Session& session) override {
    if (!files_.empty()) return DeleteDeclared(session);
    const std::string kind(KindOfWord(words_[0]));
    const std::vector<std::string> names(words_.begin() + 1, words_.end());
    if (kind.empty()) return DeleteEntries(session, words_[0], names);
    Outcomes outcomes(session);
    for (const std::string& name : names) {
      RETURN_IF_ERROR(DeleteObject(session, kind, name));
      outcomes.Add(kind, name, "deleted");
    }
    return OkStatus();
  }

 private:
  Status DeleteDeclared(const Session& session) const {
    ASSIGN_OR_RETURN(const std::vector<Declaration> objects,
                     ReadDeclarations(files_, session.io.in));
    Outcomes outcomes(session);
    for (const Declaration& object : objects) {
      RETURN_IF_ERROR(DeleteObject(session, std::string(KindOf(object)), NameOf(object)));
      outcomes.Add(KindOf(object), NameOf(object), "deleted");
    }
    return OkStatus();
  }

  static Status DeleteEntries(const Session& session, const std::string& dataset,
                              const std::vector<std::string>& keys) {
    tributary::v1::Batch batch;
    for (const std::string& key : keys) {
      tributary::v1::Write& write = *batch.add_writes();
      write.set_dataset(dataset);
      write.set_key(key);
      write.set_delete_(true);
    }
    ASSIGN_OR_RETURN(const tributary::v1::Result result,
                     PublishOnce(*session.connection, std::move(batch)));
    if (session.output == Output::kTable) {
      session.io.out << fmt::format("{} of {} entries of {} deleted at revision {}\n",
                                    result.deleted(), keys.size(), dataset, result.revision());
      return OkStatus();
    }
    const Json json = {{"dataset", dataset},
                       {"keys", keys.size()},
                       {"deleted", result.deleted()},
                       {"revision", result.revision()}};
    session.io.out << (session.output == Output::kYaml ? ToYaml(json) : json.dump() + "\n");
    return OkStatus();
  }

  std::vector<std::string> words_;
  std::vector<std::string> files_;
};

}  // namespace

std::unique_ptr<Verb> MakeApply() { return std::make_unique<Apply>(); }
std::unique_ptr<Verb> MakeDelete() { return std::make_unique<Delete>(); }

}  // namespace ctl

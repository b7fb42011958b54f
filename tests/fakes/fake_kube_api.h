// FakeKubeApi: an API server in memory: lists, watches, patches, token reviews.
//
// Thread: any.  Lifetime: Stop before destruction when a watch is under way.
// Objects live under their collection ("/apis/tributary.dev/v1alpha1/datasets"). Faults: FailNext
// answers the next calls with a code; ForgetHistory makes watches of older versions end with 410;
// BreakWatches ends those under way.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "common/mutex.h"
#include "control-plane/kube/kube_api.h"

namespace cp {

class FakeKubeApi final : public KubeApi {
 public:
  using json = nlohmann::json;

  void Put(const std::string& collection, json object) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    json& stored = objects_[collection][KeyOf(object)];
    const bool is_new = stored.is_null();
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    object["metadata"]["generation"] = is_new ? 1 : stored["metadata"]["generation"].get<int>() + 1;
    stored = object;
    Tell(collection, is_new ? "ADDED" : "MODIFIED", object);
  }
  void Delete(const std::string& collection, const std::string& key) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    json object = objects_[collection].at(key);
    objects_[collection].erase(key);
    object["metadata"]["resourceVersion"] = std::to_string(++version_);
    Tell(collection, "DELETED", object);
  }
  json At(const std::string& collection, const std::string& key) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return objects_[collection][key];
  }
  void FailNext(int calls, int code) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    failures_ = calls;
    failure_code_ = code;
  }
  void ForgetHistory() TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    forgotten_ = ++version_;
    ++breaks_;
    changed_.NotifyAll();
  }
  void BreakWatches() TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    ++breaks_;
    changed_.NotifyAll();
  }
  // What POST to a path is answered with; token reviews.
  void AnswerPost(const std::string& path, json answer) TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    posts_[path] = std::move(answer);
  }
  int calls() TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return calls_;
  }

  common::StatusOr<KubeAnswer> Call(const KubeRequest& request) override TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    ++calls_;
    if (stopped_) return absl::UnavailableError("stopped");
    if (failures_ > 0) {
      --failures_;
      return KubeAnswer{.code = failure_code_, .body = R"({"message":"as told"})"};
    }
    if (request.method == "POST") return KubeAnswer{201, posts_[request.path].dump()};
    if (request.method == "PATCH") return Patch(request);
    return List(request.path.substr(0, request.path.find('?')));
  }

  common::StatusOr<KubeAnswer> Watch(const std::string& path, const OnLine& on_line) override
      TSA_EXCLUDES(mutex_) {
    const std::string collection = path.substr(0, path.find('?'));
    const std::string mark = "resourceVersion=";
    std::int64_t from = std::stoll(path.substr(path.find(mark) + mark.size()));
    const int breaks = Breaks();
    if (from < Forgotten()) {
      on_line(R"({"type":"ERROR","object":{"code":410,"message":"too old"}})");
      return KubeAnswer{.code = 200};
    }
    for (;;) {
      for (const std::string& line : Next(collection, from, breaks)) {
        if (line.empty()) return KubeAnswer{.code = 200};
        if (!on_line(line)) return KubeAnswer{.code = 200};
      }
    }
  }

  void Stop() override TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    stopped_ = true;
    changed_.NotifyAll();
  }

 private:
  struct Event {
    std::int64_t version;
    std::string collection;
    std::string line;
  };

  static std::string KeyOf(const json& object) {
    return object["metadata"].value("namespace", "") + "/" +
           object["metadata"]["name"].get<std::string>();
  }
  void Tell(const std::string& collection, const char* type, const json& object)
      TSA_REQUIRES(mutex_) {
    events_.push_back({version_, collection, json({{"type", type}, {"object", object}}).dump()});
    changed_.NotifyAll();
  }
  int Breaks() TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return breaks_;
  }
  std::int64_t Forgotten() TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    return forgotten_;
  }
  // Lines behind `from`, which moves; an empty line: the watch ends.
  std::vector<std::string> Next(const std::string& collection, std::int64_t& from, int breaks)
      TSA_EXCLUDES(mutex_) {
    common::MutexLock lock(mutex_);
    std::vector<std::string> lines;
    while (lines.empty()) {
      for (const Event& event : events_) {
        if (event.collection != collection || event.version <= from) continue;
        lines.push_back(event.line);
        from = event.version;
      }
      if (!lines.empty()) break;
      if (stopped_ || breaks_ != breaks) return {""};
      changed_.Wait(mutex_);
    }
    return lines;
  }
  KubeAnswer List(const std::string& collection) TSA_REQUIRES(mutex_) {
    json items = json::array();
    for (const auto& [key, object] : objects_[collection]) items.push_back(object);
    return {200, json({{"apiVersion", "tributary.dev/v1alpha1"},
                       {"metadata", {{"resourceVersion", std::to_string(version_)}}},
                       {"items", items}})
                     .dump()};
  }
  // …/namespaces/<ns>/<plural>/<name>/status
  KubeAnswer Patch(const KubeRequest& request) TSA_REQUIRES(mutex_) {
    std::vector<std::string> parts;
    for (std::size_t at = 1; at <= request.path.size();) {
      const std::size_t end = std::min(request.path.find('/', at), request.path.size());
      parts.push_back(request.path.substr(at, end - at));
      at = end + 1;
    }
    const std::string collection =
        "/" + parts[0] + "/" + parts[1] + "/" + parts[2] + "/" + parts[5];
    auto& stored = objects_[collection];
    const auto found = stored.find(parts[4] + "/" + parts[6]);
    if (found == stored.end()) return {404, "{}"};
    found->second.merge_patch(json::parse(request.body));
    found->second["metadata"]["resourceVersion"] = std::to_string(++version_);
    Tell(collection, "MODIFIED", found->second);
    return {200, found->second.dump()};
  }

  common::Mutex mutex_;
  common::CondVar changed_;
  std::map<std::string, std::map<std::string, json>> objects_ TSA_GUARDED_BY(mutex_);
  std::map<std::string, json> posts_ TSA_GUARDED_BY(mutex_);
  std::vector<Event> events_ TSA_GUARDED_BY(mutex_);
  std::int64_t version_ TSA_GUARDED_BY(mutex_) = 1;
  std::int64_t forgotten_ TSA_GUARDED_BY(mutex_) = 0;
  int breaks_ TSA_GUARDED_BY(mutex_) = 0;
  int failures_ TSA_GUARDED_BY(mutex_) = 0;
  int failure_code_ TSA_GUARDED_BY(mutex_) = 500;
  int calls_ TSA_GUARDED_BY(mutex_) = 0;
  bool stopped_ TSA_GUARDED_BY(mutex_) = false;
};

}  // namespace cp

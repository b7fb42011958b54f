// ServerScenario: the world of the delta xDS scenarios – entries A, B, C of dataset "d" at their
// first version, Z that does not exist – and foreign clients of it.
//
// Thread: the test's.  Lifetime: one test.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control-plane/fanout/hub_harness.h"

namespace cp {

class ServerScenario : public ::testing::Test, public HubHarness {
 protected:
  ServerScenario() {
    Declare("d");
    for (const char* key : {"A", "B", "C"}) Put("d", key, "v1");
  }
  StreamId Connect(Names names, Versions versions = {}) {
    const StreamId stream = Open();
    Request(stream, First(common::kEntryType, std::move(names), std::move(versions)));
    return stream;
  }
  // All that is due, as sets.
  struct Seen {
    std::set<std::string> resources;
    std::set<std::string> removed;
    std::size_t responses = 0;
  };
  Seen See(StreamId stream) {
    const std::vector<Got> all = ReceiveAll(stream);
    return {.resources = ResourceNames(all), .removed = RemovedNames(all), .responses = all.size()};
  }
  void Expect(StreamId stream, std::set<std::string> resources,
              std::set<std::string> removed = {}) {
    const Seen seen = See(stream);
    EXPECT_EQ(seen.resources, resources);
    EXPECT_EQ(seen.removed, removed);
  }
  std::string V(const std::string& key) { return VersionOf("d", key); }

  const std::string a = Entry("A"), b = Entry("B"), c = Entry("C"), z = Entry("Z");
};

}  // namespace cp

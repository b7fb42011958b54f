// CopyRows: Admin's rows as tables and JSON.
//
// Thread: main.  Lifetime: pure functions over values.
#pragma once

#include <string>

#include "control-plane/ctl/objects.h"
#include "control-plane/ctl/verb.h"
#include "tributary/v1/admin.pb.h"

namespace ctl {

using CopyRows = google::protobuf::RepeatedPtrField<tributary::v1::CopyStatus>;

std::string AgeText(std::int64_t ms);  // "unknown" when negative
std::string CopyTable(const CopyRows& copies);
Json ToJson(const tributary::v1::AgentStatus& agent);
Json ToJson(const tributary::v1::CopyStatus& copy);
Json ToJson(const tributary::v1::DatasetStatus& dataset);
template <class Rows>
Json ToJsonArray(const Rows& rows) {
  Json array = Json::array();
  for (const auto& row : rows) array.push_back(ToJson(row));
  return array;
}

// As -o says; what others sent is printed even when it is not UTF-8.
void PrintJson(const Session& session, const Json& json);

}  // namespace ctl

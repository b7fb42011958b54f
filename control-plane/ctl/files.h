// Files: whole texts read from a path or standard input, with the reason when that fails.
//
// Thread: main.  Lifetime: pure but for reading.
#pragma once

#include <cstddef>
#include <istream>
#include <string>
#include <vector>

#include "common/status.h"

namespace ctl {

struct FileText {
  std::string name;  // as given; "<stdin>" for "-"
  std::string text;
};

// `path`: a file, or "-" for `in`. NOT_FOUND, PERMISSION_DENIED … name the path; OUT_OF_RANGE: more
// than `bytes_max`.
common::StatusOr<FileText> ReadText(const std::string& path, std::istream& in,
                                    std::size_t bytes_max);

// As ReadText, or all *.yaml, *.yml and *.json of a folder, by name.
common::StatusOr<std::vector<FileText>> ReadTexts(const std::string& path, std::istream& in,
                                                  std::size_t bytes_max);

}  // namespace ctl

#include "control-plane/ctl/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace ctl {

using common::Error;
using common::InvalidArgument;
using common::StatusCode;
using common::StatusOr;

StatusOr<FileText> ReadText(const std::string& path, std::istream& in, std::size_t bytes_max) {
  FileText file{.name = path == "-" ? "<stdin>" : path, .text = {}};
  std::ifstream stream;
  if (path != "-") {
    std::error_code ignored;
    if (std::filesystem::is_directory(path, ignored))
      return InvalidArgument("{} is a folder", path);
    stream.open(path, std::ios::binary);
    if (!stream) return InvalidArgument("{}: {}", path, std::generic_category().message(errno));
  }
  std::istream& source = path == "-" ? in : stream;
  char piece[65536];
  while (source.read(piece, sizeof piece) || source.gcount() > 0) {
    file.text.append(piece, static_cast<std::size_t>(source.gcount()));
    if (file.text.size() > bytes_max) {
      return Error(StatusCode::kOutOfRange, "{}: more than {} bytes", file.name, bytes_max);
    }
  }
  if (source.bad()) return InvalidArgument("{}: cannot be read", file.name);
  return file;
}

StatusOr<std::vector<FileText>> ReadTexts(const std::string& path, std::istream& in,
                                          std::size_t bytes_max) {
  std::error_code error;
  std::vector<std::string> paths;
  if (path != "-" && std::filesystem::is_directory(path, error)) {
    std::filesystem::directory_iterator entries(path, error);
    if (error) return InvalidArgument("{}: {}", path, error.message());
    for (const auto& entry : entries) {
      const std::string ending = entry.path().extension();
      if (ending == ".yaml" || ending == ".yml" || ending == ".json") paths.push_back(entry.path());
    }
    if (paths.empty())
      return InvalidArgument("{}: no *.yaml, *.yml or *.json in this folder", path);
    std::ranges::sort(paths);
  } else {
    paths.push_back(path);
  }
  std::vector<FileText> files;
  for (const std::string& each : paths) {
    ASSIGN_OR_RETURN(FileText file, ReadText(each, in, bytes_max));
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace ctl

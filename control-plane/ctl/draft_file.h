// DraftFile: a file that appears under its name when it is complete and on disk, or not at all.
//
// Thread: main.  Lifetime: one file; what was not kept is removed with the object.
#pragma once

#include <string>
#include <string_view>

#include "common/status.h"

namespace ctl {

class DraftFile {
 public:
  // Written as `path`.part, readable by its owner only. ALREADY_EXISTS: there is such a file.
  static common::StatusOr<DraftFile> Create(const std::string& path);
  ~DraftFile();
  DraftFile(const DraftFile&) = delete;
  DraftFile(DraftFile&& other) noexcept;
  DraftFile& operator=(const DraftFile&) = delete;
  DraftFile& operator=(DraftFile&&) = delete;

  common::Status Append(std::string_view bytes);
  // ALREADY_EXISTS: another file of the name has appeared meanwhile; it is left alone.
  common::Status Keep();

 private:
  DraftFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string draft() const { return path_ + ".part"; }

  std::string path_;
  int fd_;
};

}  // namespace ctl

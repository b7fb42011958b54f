// DiskReserve: room on disk that is kept back, so that a full disk cannot stop what makes room.
// LMDB copies the pages it changes, also to delete; without a free page nothing could ever be
// deleted again.
//
// Thread: one owner.  Lifetime: owns the file while it holds room; the file stays for the next
// process.
#pragma once

#include <cstddef>
#include <string>

namespace agent {

class DiskReserve {
 public:
  // Nothing is held yet. `path`: a file of its own, beside what it is for.
  DiskReserve(std::string path, std::size_t bytes) : path_(std::move(path)), bytes_(bytes) {}

  // Takes the room, if it is not held. False: the disk has none to spare; try again later.
  bool Hold();
  // Gives it to whoever writes next on this disk. False: none was held.
  bool Release();
  bool held() const { return held_; }

 private:
  const std::string path_;
  const std::size_t bytes_;
  bool held_ = false;
};

}  // namespace agent

#include "agent/idle_exit.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

namespace agent {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = line.find_first_not_of(' '); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(' ', end);
  }
  return words;
}

template <class Visit>
void ForEachRow(std::string_view table, const Visit& visit) {
  for (std::size_t at = table.find('\n'); at != std::string_view::npos && at + 1 < table.size();) {
    const std::size_t end = std::min(table.find('\n', at + 1), table.size());
    visit(Words(table.substr(at + 1, end - at - 1)));
    at = end == table.size() ? std::string_view::npos : end;
  }
}

std::uint64_t ToNumber(std::string_view text, int base) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// "0100007F:26AD" → 9901
std::uint64_t PortOf(std::string_view address) {
  return ToNumber(address.substr(std::min(address.rfind(':') + 1, address.size())), 16);
}

std::set<std::uint64_t> OwnInodes(const std::string& proc) {
  std::set<std::uint64_t> inodes;
  std::error_code failed;
  for (std::filesystem::directory_iterator fd(proc + "/self/fd", failed), end; !failed && fd != end;
       fd.increment(failed)) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(fd->path(), gone).string();
    if (target.starts_with("socket:[")) inodes.insert(ToNumber(target.substr(8), 10));
  }
  return inodes;
}

}  // namespace

IdleExit::Verdict IdleExit::Step(common::MonotonicTime now, bool anyone) {
  if (anyone) {
    seen_ = true;
    last_ = now;
    return Verdict::kStay;
  }
  if (now - last_ < (seen_ ? idle_ : kPatience * idle_)) return Verdict::kStay;
  return seen_ ? Verdict::kDone : Verdict::kNobodyCame;
}

std::set<std::uint64_t> InetInodes(std::string_view table, std::uint16_t own_port) {
  std::set<std::uint64_t> inodes;
  ForEachRow(table, [&](const std::vector<std::string_view>& words) {
    if (words.size() < 10 || PortOf(words[1]) == own_port || PortOf(words[2]) == own_port) return;
    inodes.insert(ToNumber(words[9], 10));
  });
  return inodes;
}

std::set<std::uint64_t> UnixInodes(std::string_view table) {
  std::set<std::uint64_t> inodes;
  ForEachRow(table, [&](const std::vector<std::string_view>& words) {
    if (words.size() >= 7) inodes.insert(ToNumber(words[6], 10));
  });
  return inodes;
}

std::size_t ForeignSockets(const std::string& proc, std::uint16_t own_port) {
  std::set<std::uint64_t> all = UnixInodes(ReadFile(proc + "/net/unix"));
  for (const char* table : {"tcp", "tcp6", "udp", "udp6"}) {
    all.merge(InetInodes(ReadFile(proc + "/net/" + table), own_port));
  }
  // Read last: a socket that we open meanwhile is in this list, if not in the others.
  const std::set<std::uint64_t> own = OwnInodes(proc);
  std::size_t foreign = 0;
  for (const std::uint64_t inode : all) foreign += inode != 0 && !own.contains(inode) ? 1U : 0U;
  return foreign;
}

}  // namespace agent

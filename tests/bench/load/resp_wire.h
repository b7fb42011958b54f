// RESP from the client's side: requests as bytes, replies counted without looking inside.
//
// Thread: one owner.  Lifetime: value.
#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace bench {

inline void AppendWord(std::string_view word, std::string& out) {
  fmt::format_to(std::back_inserter(out), "${}\r\n", word.size());
  out.append(word).append("\r\n");
}

inline void AppendCommand(std::span<const std::string> words, std::string& out) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (const std::string& word : words) AppendWord(word, out);
}

inline std::string Command(const std::vector<std::string>& words) {
  std::string out;
  AppendCommand(words, out);
  return out;
}

// Cuts a stream of bytes into replies.
class ReplyCutter {
 public:
  // Room for at least `bytes`; then Filled() says how many came.
  char* Room(std::size_t bytes);
  void Filled(std::size_t bytes) { end_ += bytes; }

  // The next whole reply, if there is one; valid until Room.
  bool Next(std::string_view& reply);
  // How many whole replies were taken off; `errors` grows by those that are errors.
  std::size_t SkipAll(std::size_t& errors, std::string& first_error);

 private:
  // The end of the reply that begins at `at`; npos: not complete.
  std::size_t EndOfReply(std::size_t at) const;

  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace bench

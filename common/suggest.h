// "Did you mean …?" for misspelt names, and text from outside made safe to print.
//
// Thread: any.  Lifetime: pure functions.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace common {

// "; did you mean 'owner'?" when one of `known` is at most two edits away (case does not count),
// else "".
std::string DidYouMean(std::string_view given, std::span<const std::string_view> known);

// `text` with control bytes as \xNN, cut to `bytes_max` (at a character) so that it fits a line.
std::string Printable(std::string_view text, std::size_t bytes_max = 100);

}  // namespace common

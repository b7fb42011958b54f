// Table: rows under headings, aligned by columns as kubectl prints them.
//
// Thread: any.  Lifetime: value.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ctl {

class Table {
 public:
  explicit Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}

  // An empty cell prints as "-"; control bytes are escaped. REQUIRES: one cell per heading.
  void Add(std::vector<std::string> cells);
  // Three blanks between columns, none at a line's end.
  std::string Print() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns that `text` takes on a terminal, each character counted as one.
std::size_t DisplayWidth(std::string_view text);

}  // namespace ctl

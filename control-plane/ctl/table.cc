#include "control-plane/ctl/table.h"

#include <algorithm>
#include <cstddef>

#include "common/status.h"
#include "common/suggest.h"

namespace ctl {
namespace {

constexpr std::size_t kGap = 3;
constexpr std::size_t kCellBytesMax = 256;

void Append(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
            std::string& out) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    out += cells[i];
    if (i + 1 < cells.size()) out.append(widths[i] - DisplayWidth(cells[i]) + kGap, ' ');
  }
  out += '\n';
}

}  // namespace

std::size_t DisplayWidth(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

void Table::Add(std::vector<std::string> cells) {
  CHECK(cells.size() == headings_.size());
  for (std::string& cell : cells) {
    cell = cell.empty() ? "-" : common::Printable(cell, kCellBytesMax);
  }
  rows_.push_back(std::move(cells));
}

std::string Table::Print() const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < headings_.size(); ++i) {
    std::size_t width = DisplayWidth(headings_[i]);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i]));
    widths.push_back(width);
  }
  std::string out;
  Append(headings_, widths, out);
  for (const auto& row : rows_) Append(row, widths, out);
  return out;
}

}  // namespace ctl

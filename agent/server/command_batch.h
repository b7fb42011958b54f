// CommandBatch: the next commands of a client's input, parsed before the first of them is handled,
// so that the keys of a whole pipeline can be fetched together.
//
// Thread: the loop; pure.  Lifetime: arguments are views into the bytes given to the last Fill and
// into the parser.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "agent/server/command_table.h"
#include "agent/server/resp_parser.h"

namespace agent {

class CommandBatch {
 public:
  // One result of the parser other than kNeedMore.
  struct Item {
    RespParser::Result result = RespParser::Result::kCommand;
    std::size_t end = 0;  // of its bytes, in what Fill was given
    std::size_t first = 0;
    std::size_t count = 0;
    const CommandSpec* spec = nullptr;  // null: unknown, or not a command
    std::size_t lone_key = 0;           // in lone_keys(), if the command reads one key
  };

  // Ends with a result that is no plain command: the parser then holds its error or its arguments.
  // Each item consumes the bytes up to its end; if not all items are handled, Reset the parser.
  void Fill(std::string_view bytes, RespParser& parser, const CommandTable& table);

  std::span<const Item> items() const { return items_; }
  Args ArgsOf(const Item& item) const { return Args(arguments_).subspan(item.first, item.count); }
  // The keys of those commands that read one key each.
  std::span<const std::string_view> lone_keys() const { return lone_keys_; }
  // Bytes dealt with once every item is; `needs_more`: nothing whole is behind them.
  std::size_t consumed() const { return consumed_; }
  bool needs_more() const { return needs_more_; }

 private:
  void Add(Args arguments, const CommandTable& table, Item& item);

  std::vector<Item> items_;
  std::vector<std::string_view> arguments_;
  std::vector<std::string_view> lone_keys_;
  std::size_t consumed_ = 0;
  bool needs_more_ = false;
};

}  // namespace agent

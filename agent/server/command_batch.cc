#include "agent/server/command_batch.h"

#include "agent/cache/cache.h"

namespace agent {
namespace {

// Enough to keep the memory busy; more would only push each other out of the caches.
constexpr std::size_t kItemsMax = kPrefetchedKeysMax;
constexpr std::size_t kArgumentsMax = 4 * kPrefetchedKeysMax;

}  // namespace

void CommandBatch::Add(Args arguments, const CommandTable& table, Item& item) {
  item.first = arguments_.size();
  item.count = arguments.size();
  item.spec = table.Find(arguments);
  for (const std::string_view argument : arguments) arguments_.push_back(argument);
  if (item.spec == nullptr || (item.spec->flags & kReadOnly) == 0) return;
  if (item.spec->first_key == 1 && item.spec->last_key == 1 && arguments.size() > 1) {
    item.lone_key = lone_keys_.size();
    lone_keys_.push_back(arguments[1]);
  }
}

void CommandBatch::Fill(std::string_view bytes, RespParser& parser, const CommandTable& table) {
  items_.clear();
  arguments_.clear();
  lone_keys_.clear();
  consumed_ = 0;
  needs_more_ = false;
  while (items_.size() < kItemsMax && arguments_.size() < kArgumentsMax) {
    const RespParser::Result result =
        parser.Next({bytes.data() + consumed_, bytes.size() - consumed_});
    consumed_ += parser.consumed();
    needs_more_ = result == RespParser::Result::kNeedMore;
    if (needs_more_) return;
    Item& item = items_.emplace_back(Item{.result = result, .end = consumed_});
    if (result != RespParser::Result::kCommand) return;
    Add(parser.arguments(), table, item);
    if (parser.owns_arguments()) return;
  }
}

}  // namespace agent

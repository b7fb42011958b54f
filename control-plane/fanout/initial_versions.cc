#include "control-plane/fanout/initial_versions.h"

#include "common/limits.h"
#include "control-plane/fanout/entry_names.h"
#include "control-plane/fanout/subscription.h"

namespace cp {
namespace {

constexpr std::size_t kLengthBytes = 2;
static_assert(common::kResourceNameBytesMax < (1u << 16));
static_assert(common::kRequestBytesMax < UINT32_MAX - 2, "offsets have 32 bits");

void AppendText(std::string_view text, std::string& out) {
  CHECK(text.size() <= common::kResourceNameBytesMax);
  out.push_back(static_cast<char>(text.size() & 0xFF));
  out.push_back(static_cast<char>(text.size() >> 8));
  out.append(text);
}

std::string_view TextAt(std::string_view bytes, std::size_t at) {
  const std::size_t length = static_cast<unsigned char>(bytes[at]) |
                             static_cast<std::size_t>(static_cast<unsigned char>(bytes[at + 1]))
                                 << 8;
  return bytes.substr(at + kLengthBytes, length);
}

}  // namespace

std::uint32_t VersionText::Add(std::string_view name, std::string_view version) {
  const auto offset = static_cast<std::uint32_t>(bytes_.size());
  AppendText(name, bytes_);
  AppendText(version, bytes_);
  return offset;
}

VersionText::Pair VersionText::At(std::uint32_t offset) const {
  const std::string_view name = TextAt(bytes_, offset);
  return {.name = name, .version = TextAt(bytes_, offset + kLengthBytes + name.size())};
}

std::size_t KnownVersions::FindSlot(std::string_view name) const {
  std::size_t slot = TextHash()(name) & (slots_.size() - 1);
  while (slots_[slot] != kFree && (slots_[slot] == kErased || At(slots_[slot]).name != name)) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void KnownVersions::Grow() {
  std::vector<std::uint32_t> old(slots_.empty() ? 16 : 2 * slots_.size(), kFree);
  old.swap(slots_);
  used_ = size_;
  for (const std::uint32_t offset : old) {
    if (offset < kErased) slots_[FindSlot(At(offset).name)] = offset;
  }
}

void KnownVersions::Add(std::uint32_t offset) {
  if ((used_ + 1) * 4 > slots_.size() * 3) Grow();
  std::uint32_t& slot = slots_[FindSlot(At(offset).name)];
  if (slot == kFree) {
    ++size_;
    ++used_;
  }
  slot = offset;
}

std::optional<std::string_view> KnownVersions::Find(std::string_view name) const {
  if (empty()) return std::nullopt;
  const std::uint32_t offset = slots_[FindSlot(name)];
  if (offset == kFree) return std::nullopt;
  return At(offset).version;
}

bool KnownVersions::Erase(std::string_view name) {
  if (empty()) return false;
  std::uint32_t& slot = slots_[FindSlot(name)];
  if (slot == kFree) return false;
  slot = kErased;
  --size_;
  return true;
}

std::optional<std::uint32_t> KnownVersions::Peek() const {
  if (empty()) return std::nullopt;
  if (peek_ >= slots_.size()) peek_ = 0;
  while (slots_[peek_] >= kErased) peek_ = (peek_ + 1) & (slots_.size() - 1);
  return slots_[peek_];
}

void KnownVersions::Pop() {
  CHECK(Peek().has_value());
  slots_[peek_] = kErased;
  --size_;
}

InitialVersions::InitialVersions(const std::shared_ptr<const VersionText>& text,
                                 const std::vector<std::uint32_t>& offsets, bool entries)
    : others_(text) {
  for (const std::uint32_t offset : offsets) {
    const std::string_view name = text->At(offset).name;
    KnownVersions* const dataset = entries ? DatasetOf(name, text) : nullptr;
    (dataset != nullptr ? *dataset : others_).Add(offset);
  }
}

// Null: not the name of a single entry, or there are too many datasets to tell them apart.
KnownVersions* InitialVersions::DatasetOf(std::string_view name,
                                          const std::shared_ptr<const VersionText>& text) {
  const auto parts = ParseCanonicalEntryName(name);
  if (!parts || parts->is_collection) return nullptr;
  const auto it = entries_.find(parts->dataset);
  if (it != entries_.end()) return &it->second;
  if (entries_.size() >= common::kCollectionsPerStreamMax) return nullptr;
  return &entries_.try_emplace(parts->dataset, text).first->second;
}

std::optional<std::string_view> InitialVersions::Find(std::string_view name) const {
  if (empty()) return std::nullopt;
  if (const auto found = others_.Find(name)) return found;
  const auto parts = common::ParseEntryName(name);
  const auto it = parts ? entries_.find(parts->dataset) : entries_.end();
  return it == entries_.end() ? std::nullopt : it->second.Find(name);
}

}  // namespace cp

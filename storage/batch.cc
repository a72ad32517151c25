#include "storage/batch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <numeric>

namespace sluice::storage {
namespace {

constexpr size_t kFirstSlots = 16;

}  // namespace

uint32_t Dictionary::Intern(std::string_view text) {
  if (slots_.size() < 2 * (strings_.size() + 1)) Grow();
  uint32_t hash = static_cast<uint32_t>(XXH3_64bits(text.data(), text.size()));
  size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.position == 0) {
      strings_.Add(text);
      slot = {hash, static_cast<uint32_t>(strings_.size())};
      return slot.position - 1;
    }
    if (slot.hash == hash && strings_[slot.position - 1] == text) return slot.position - 1;
  }
}

void Dictionary::Grow() {
  std::vector<Slot> old(std::max(kFirstSlots, 2 * slots_.size()));
  old.swap(slots_);
  size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.position == 0) continue;
    size_t i = slot.hash & mask;
    while (slots_[i].position != 0) i = (i + 1) & mask;
    slots_[i] = slot;
  }
}

void Dictionary::Clear() {
  if (strings_.size() == 0) return;
  // An array that once was large is not worth clearing for a few strings.
  bool oversized = slots_.size() > 8 * (strings_.size() + kFirstSlots);
  strings_.Clear();
  slots_.assign(oversized ? 0 : slots_.size(), Slot());
}

void BatchColumn::AddTag(size_t row, std::string_view value) {
  // Points that arrive together often share most of their tags.
  bool same =
      !numbers_.empty() && dictionary_.strings()[static_cast<size_t>(numbers_.back())] == value;
  AddNumber(row, same ? numbers_.back() : dictionary_.Intern(value));
}

void BatchColumn::Clear() {
  present_.Clear();
  numbers_.clear();
  strings_.Clear();
  dictionary_.Clear();
}

BatchColumn& TableBatch::At(size_t column) {
  while (columns_.size() <= column) columns_.emplace_back(table_->columns()[columns_.size()].type);
  return columns_[column];
}

void TableBatch::Clear() {
  timestamps_.clear();
  for (BatchColumn& column : columns_) column.Clear();
}

RowIndex::RowIndex(const TableBatch& batch) : batch_(batch) {
  // A counting sort of all values by row.
  std::vector<uint32_t> counts(batch.row_count() + 1);
  auto for_each_value = [&batch](auto visit) {
    for (uint32_t c = 0; c < batch.columns().size(); ++c) {
      const std::vector<uint64_t>& words = batch.columns()[c].present().words();
      uint32_t position = 0;
      for (size_t w = 0; w < words.size(); ++w) {
        for (uint64_t word = words[w]; word != 0; word &= word - 1) {
          visit(w * 64 + static_cast<size_t>(std::countr_zero(word)), ValueRef{c, position++});
        }
      }
    }
  };
  for_each_value([&counts](size_t row, ValueRef) { ++counts[row + 1]; });
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
  begins_ = counts;
  values_.resize(counts.back());
  for_each_value([&](size_t row, ValueRef value) { values_[counts[row]++] = value; });
}

void RowIndex::CopyRows(std::span<const uint32_t> rows, TableBatch& out) const {
  for (uint32_t row : rows) {
    out.AddRow(batch_.timestamps()[row]);
    for (uint32_t i = begins_[row]; i < begins_[row + 1]; ++i) {
      auto [c, position] = values_[i];
      const BatchColumn& column = batch_.columns()[c];
      if (column.type() == ColumnType::kString) {
        out.AddString(c, column.strings()[position]);
      } else if (column.type() == ColumnType::kTag) {
        size_t code = static_cast<size_t>(column.numbers()[position]);
        out.AddTag(c, column.dictionary().strings()[code]);
      } else {
        out.AddNumber(c, column.numbers()[position]);
      }
    }
  }
}

}  // namespace sluice::storage

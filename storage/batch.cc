#include "storage/batch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

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
  strings_.Clear();
  slots_.assign(slots_.size(), Slot());
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

void TableBatch::CopyRowsTo(std::span<const uint32_t> rows, TableBatch& out) const {
  size_t first = out.row_count();
  for (uint32_t from : rows) out.AddRow(timestamps_[from]);
  for (size_t c = 0; c < columns_.size(); ++c) {
    const BatchColumn& column = columns_[c];
    if (column.present_count() == 0) continue;
    BitmapRank rank(column.present());
    for (size_t i = 0; i < rows.size(); ++i) {
      if (!column.present().Get(rows[i])) continue;
      size_t value = rank.Of(column.present(), rows[i]);
      if (column.type() == ColumnType::kString) {
        out.At(c).AddString(first + i, column.strings()[value]);
      } else if (column.type() == ColumnType::kTag) {
        out.At(c).AddTag(
            first + i, column.dictionary().strings()[static_cast<size_t>(column.numbers()[value])]);
      } else {
        out.At(c).AddNumber(first + i, column.numbers()[value]);
      }
    }
  }
}

void TableBatch::Clear() {
  timestamps_.clear();
  for (BatchColumn& column : columns_) column.Clear();
}

}  // namespace sluice::storage

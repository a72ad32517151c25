#include "storage/batch.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <random>

#include "absl/container/flat_hash_map.h"
#include "storage/same_bytes.h"

namespace sluice::storage {
namespace {

// So many strings are compared one by one; a batch of one point has a dictionary for each tag.
constexpr size_t kMaxCompared = 8;
constexpr size_t kFirstSlots = 4 * kMaxCompared;
// Slots that are fetched into the cache at once.
constexpr size_t kFetched = 16;

// That nobody knows: else someone could send strings that all have one hash.
const uint64_t kSeed = std::random_device()() | uint64_t{std::random_device()()} << 32;

uint32_t HashOf(std::string_view text) {
  return static_cast<uint32_t>(XXH3_64bits_withSeed(text.data(), text.size(), kSeed));
}

}  // namespace

uint32_t Dictionary::Intern(std::string_view text) {
  if (slots_.empty()) {
    for (uint32_t i = 0; i < strings_.size(); ++i) {
      if (SameText(strings_[i], text)) return i;
    }
    if (strings_.size() < kMaxCompared) {
      strings_.Add(text);
      return static_cast<uint32_t>(strings_.size() - 1);
    }
  }
  return Intern(text, HashOf(text));
}

void Dictionary::Intern(std::span<const std::string_view> texts, std::vector<uint32_t>& positions) {
  size_t done = 0;
  for (; done < texts.size() && slots_.empty(); ++done) positions.push_back(Intern(texts[done]));
  while (done < texts.size()) {
    const auto fetched = texts.subspan(done, std::min(texts.size() - done, kFetched));
    uint32_t hashes[kFetched];
    for (size_t i = 0; i < fetched.size(); ++i) {
      hashes[i] = HashOf(fetched[i]);
      __builtin_prefetch(&slots_[hashes[i] & (slots_.size() - 1)]);
    }
    for (size_t i = 0; i < fetched.size(); ++i) positions.push_back(Intern(fetched[i], hashes[i]));
    done += fetched.size();
  }
}

uint32_t Dictionary::Intern(std::string_view text, uint32_t hash) {
  if (slots_.size() < 2 * (strings_.size() + 1)) Grow();
  size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask;; i = (i + 1) & mask) {
    Slot& slot = slots_[i];
    if (slot.position == 0) {
      strings_.Add(text);
      slot = {hash, static_cast<uint32_t>(strings_.size())};
      return slot.position - 1;
    }
    if (slot.hash == hash && SameText(strings_[slot.position - 1], text)) return slot.position - 1;
  }
}

void Dictionary::Grow() {
  std::vector<Slot> old(std::max(kFirstSlots, 4 * slots_.size()));
  old.swap(slots_);
  const auto put = [this, mask = slots_.size() - 1](const Slot& slot) {
    size_t i = slot.hash & mask;
    while (slots_[i].position != 0) i = (i + 1) & mask;
    slots_[i] = slot;
  };
  for (const Slot& slot : old) {
    if (slot.position != 0) put(slot);
  }
  if (!old.empty()) return;
  for (uint32_t i = 0; i < strings_.size(); ++i) put({HashOf(strings_[i]), i + 1});
}

void Dictionary::Clear() {
  if (strings_.size() == 0) return;
  // An array that once was large is not worth clearing for a few strings.
  bool oversized = slots_.size() > 8 * strings_.size();
  strings_.Clear();
  slots_.assign(oversized ? 0 : slots_.size(), Slot());
}

Bitmap BatchColumn::Present() const {
  if (has_gaps_) return present_;
  Bitmap present;
  present.SetFirst(present_count());
  return present;
}

void BatchColumn::AddTag(size_t set, std::string_view value) {
  AddNumber(set, dictionary_.Intern(value));
}

// `count` rows from `first` on that have a value, as far as `present` says so.
void BatchColumn::MarkPresent(size_t first, PackedBits present, size_t count) {
  if (!has_gaps_ && present.empty() && first == present_count()) return;
  if (!has_gaps_) present_.SetFirst(present_count());
  has_gaps_ = true;
  if (present.empty()) {
    present_.SetRange(first, count);
  } else {
    present_.SetWhere(first, present);
  }
}

void BatchColumn::AddNumbers(size_t first, PackedBits present, Packed<int64_t> bits) {
  MarkPresent(first, present, bits.size());
  bits.AppendTo(numbers_);
}

void BatchColumn::AddBooleans(size_t first, PackedBits present, size_t count, PackedBits values) {
  MarkPresent(first, present, count);
  for (size_t i = 0; i < count; ++i) numbers_.push_back(values[i] ? 1 : 0);
}

void BatchColumn::AddStrings(size_t first, PackedBits present,
                             std::span<const std::string_view> texts, Packed<uint32_t> numbers) {
  const size_t count = numbers.empty() ? texts.size() : numbers.size();
  MarkPresent(first, present, count);
  for (size_t i = 0; i < count; ++i) strings_.Add(texts[numbers.empty() ? i : numbers[i]]);
}

void BatchColumn::AddTags(size_t first, std::span<const std::string_view> texts,
                          std::span<const uint32_t> values) {
  constexpr uint32_t kUnknown = ~uint32_t{0};
  // Texts that no set has leave no trace.
  std::vector<uint32_t> positions(texts.size(), kUnknown);
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] == 0) continue;
    uint32_t& position = positions[values[i] - 1];
    if (position == kUnknown) position = dictionary_.Intern(texts[values[i] - 1]);
    AddNumber(first + i, position);
  }
}

void BatchColumn::Append(const BatchColumn& other, size_t first) {
  size_t row = 0;
  for (size_t i = 0; i < other.present_count(); ++i, ++row) {
    while (other.has_gaps_ && !other.present_.Get(row)) ++row;
    switch (type_) {
      case ColumnType::kTag:
        AddTag(first + row, other.dictionary_.strings()[static_cast<size_t>(other.numbers_[i])]);
        break;
      case ColumnType::kString:
        AddString(first + row, other.strings_[i]);
        break;
      default:
        AddNumber(first + row, other.numbers_[i]);
    }
  }
}

void BatchColumn::Clear() {
  has_gaps_ = false;
  present_.Clear();
  numbers_.clear();
  strings_.Clear();
  dictionary_.Clear();
}

size_t TableBatch::AddRows(std::span<const int64_t> sets, std::span<const int64_t> timestamps_ns) {
  const size_t first = timestamps_.size();
  row_sets_.insert(row_sets_.end(), sets.begin(), sets.end());
  timestamps_.insert(timestamps_.end(), timestamps_ns.begin(), timestamps_ns.end());
  return first;
}

void TableBatch::Append(const TableBatch& other) {
  const size_t first_row = row_count();
  const size_t first_set = set_count_;
  for (int64_t set : other.row_sets_) row_sets_.push_back(static_cast<int64_t>(first_set) + set);
  timestamps_.insert(timestamps_.end(), other.timestamps_.begin(), other.timestamps_.end());
  set_count_ += other.set_count_;
  for (size_t i = 0; i < other.columns_.size(); ++i) {
    const BatchColumn& column = other.columns_[i];
    if (column.present_count() == 0) continue;
    At(i).Append(column, column.type() == ColumnType::kTag ? first_set : first_row);
  }
}

BatchColumn& TableBatch::AddColumns(size_t column) {
  columns_.reserve(table_->columns().size());
  while (columns_.size() <= column) {
    columns_.emplace_back(table_->columns()[columns_.size()].type);
  }
  return columns_[column];
}

void TableBatch::Clear() {
  timestamps_.clear();
  row_sets_.clear();
  set_count_ = 0;
  for (BatchColumn& column : columns_) column.Clear();
}

namespace {

// Calls `visit` with the row or set of each value of a column, and the value's position.
template <typename Visit>
void ForEachValue(const BatchColumn& column, Visit visit) {
  const Bitmap present = column.Present();
  uint32_t position = 0;
  for (size_t w = 0; w < present.words().size(); ++w) {
    for (uint64_t word = present.words()[w]; word != 0; word &= word - 1) {
      visit(w * 64 + static_cast<size_t>(std::countr_zero(word)), position++);
    }
  }
}

}  // namespace

RowIndex::RowIndex(const TableBatch& batch)
    : batch_(batch),
      by_set_(Collect(batch, true, batch.set_count())),
      by_row_(Collect(batch, false, batch.row_count())) {}

RowIndex::Values RowIndex::Collect(const TableBatch& batch, bool tags, size_t count) {
  // A counting sort of the values by what they belong to.
  auto for_each_value = [&](auto visit) {
    for (uint32_t c = 0; c < batch.columns().size(); ++c) {
      if ((batch.columns()[c].type() == ColumnType::kTag) != tags) continue;
      ForEachValue(batch.columns()[c], [&](size_t n, uint32_t position) {
        visit(n, ValueRef{c, position});
      });
    }
  };
  Values values;
  std::vector<uint32_t> counts(count + 1);
  for_each_value([&counts](size_t n, ValueRef) { ++counts[n + 1]; });
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
  values.begins = counts;
  values.refs.resize(counts.back());
  for_each_value([&](size_t n, ValueRef value) { values.refs[counts[n]++] = value; });
  return values;
}

void RowIndex::CopySet(uint32_t set, TableBatch& out) const {
  for (auto [c, position] : by_set_.Of(set)) {
    const BatchColumn& column = batch_.columns()[c];
    out.AddTag(c, column.dictionary().strings()[static_cast<size_t>(column.numbers()[position])]);
  }
}

void RowIndex::CopyRows(std::span<const uint32_t> rows, TableBatch& out) const {
  absl::flat_hash_map<uint32_t, uint32_t> sets;
  for (uint32_t row : rows) {
    auto [set, is_new] = sets.try_emplace(static_cast<uint32_t>(batch_.row_sets()[row]), 0);
    if (is_new) {
      set->second = out.AddSet();
      CopySet(set->first, out);
    }
    out.AddRow(set->second, batch_.timestamps()[row]);
    for (auto [c, position] : by_row_.Of(row)) {
      const BatchColumn& column = batch_.columns()[c];
      if (column.type() == ColumnType::kString) {
        out.AddString(c, column.strings()[position]);
      } else {
        out.AddNumber(c, column.numbers()[position]);
      }
    }
  }
}

size_t RepeatedTagBytes(const TableBatch& batch, size_t days) {
  const size_t blocks = days + batch.row_count() / kMaxBlockRows;
  if (blocks <= 1) return 0;
  size_t distinct_bytes = 0;
  for (const BatchColumn& column : batch.columns()) {
    distinct_bytes += column.dictionary().strings().bytes().size();
  }
  std::vector<size_t> set_bytes(batch.set_count());
  for (const BatchColumn& column : batch.columns()) {
    if (column.type() != ColumnType::kTag) continue;
    const StringList& values = column.dictionary().strings();
    ForEachValue(column, [&](size_t set, uint32_t position) {
      set_bytes[set] += values[static_cast<size_t>(column.numbers()[position])].size();
    });
  }
  size_t row_bytes = 0;
  for (int64_t set : batch.row_sets()) row_bytes += set_bytes[static_cast<size_t>(set)];
  return std::min((blocks - 1) * distinct_bytes, row_bytes);
}

}  // namespace sluice::storage

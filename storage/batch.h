#ifndef SLUICE_STORAGE_BATCH_H_
#define SLUICE_STORAGE_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/bitmap.h"
#include "storage/packed.h"
#include "storage/schema.h"

namespace sluice::storage {

// Byte strings, one after the other, without an allocation for each.
class StringList {
 public:
  void Add(std::string_view text) {
    bytes_.append(text);
    ends_.push_back(bytes_.size());
  }
  void Clear() {
    bytes_.clear();
    ends_.clear();
  }
  size_t size() const { return ends_.size(); }
  std::string_view operator[](size_t i) const {
    size_t begin = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(bytes_).substr(begin, ends_[i] - begin);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::vector<size_t> ends_;
};

// Distinct byte strings and their positions in order of first appearance. Adding one allocates
// nothing beyond the growth of three arrays.
class Dictionary {
 public:
  // The position of `text`, which is added if it is new.
  uint32_t Intern(std::string_view text);
  // The same of many at once, to the end of `positions`. Faster, where the dictionary is large.
  void Intern(std::span<const std::string_view> texts, std::vector<uint32_t>& positions);
  const StringList& strings() const { return strings_; }
  void Clear();

 private:
  struct Slot {
    uint32_t hash = 0;
    // Position plus one; zero means free.
    uint32_t position = 0;
  };

  uint32_t Intern(std::string_view text, uint32_t hash);
  void Grow();

  StringList strings_;
  // Open addressing, a power of two, at most half full. Empty where the strings are few.
  std::vector<Slot> slots_;
};

// The values of one column of a batch: those that are present, in row order, and for which rows.
// Numbers and booleans are kept as 64 bits each: a float by its IEEE bits, an unsigned integer
// wrapped, a boolean as 0 or 1. A tag has one value for each tag set instead of each row; its
// numbers are positions in the dictionary of its values.
class BatchColumn {
 public:
  explicit BatchColumn(ColumnType type) : type_(type) {}

  ColumnType type() const { return type_; }
  size_t present_count() const {
    return type_ == ColumnType::kString ? strings_.size() : numbers_.size();
  }
  // Which rows have a value.
  Bitmap Present() const;
  const std::vector<int64_t>& numbers() const { return numbers_; }
  // The values of a string column.
  const StringList& strings() const { return strings_; }
  // The distinct values of a tag.
  const Dictionary& dictionary() const { return dictionary_; }

  // One value for `row`, which comes after every row that has one.
  void AddNumber(size_t row, int64_t bits) {
    MarkPresent(row, numbers_.size());
    numbers_.push_back(bits);
  }
  void AddString(size_t row, std::string_view text) {
    MarkPresent(row, strings_.size());
    strings_.Add(text);
  }
  void AddTag(size_t set, std::string_view value);

  // The same for many at once, from row or set `first` on. `present` says which rows have a value;
  // empty, all have. Of the values there is one for each that has.
  void AddNumbers(size_t first, PackedBits present, Packed<int64_t> bits);
  void AddBooleans(size_t first, PackedBits present, size_t count, PackedBits values);
  // `numbers` says which of the texts it is; empty, they are in order.
  void AddStrings(size_t first, PackedBits present, std::span<const std::string_view> texts,
                  Packed<uint32_t> numbers);
  // For each set 1 + the position of its value in `texts`, or 0 where it has none.
  void AddTags(size_t first, std::span<const std::string_view> texts,
               std::span<const uint32_t> values);

  // The values of another column of the same type, for rows or sets that begin at `first`.
  void Append(const BatchColumn& other, size_t first);

  void Clear();

 private:
  // `count` rows before `row` have a value.
  void MarkPresent(size_t row, size_t count) {
    if (row != count && !has_gaps_) {
      has_gaps_ = true;
      present_.SetFirst(count);
    }
    if (has_gaps_) present_.Set(row);
  }
  void MarkPresent(size_t first, PackedBits present, size_t count);

  ColumnType type_;
  // Kept only once a row has been left out: most columns have a value in every row.
  bool has_gaps_ = false;
  Bitmap present_;
  std::vector<int64_t> numbers_;
  StringList strings_;
  Dictionary dictionary_;
};

// Rows of one table, column by column, in the order in which they were added. Columns are those of
// the table's schema, by position; a row need not have a value in each. Rows share tag sets: points
// of one series need to give theirs only once, though a set may be there twice.
class TableBatch {
 public:
  explicit TableBatch(TablePtr table) : table_(std::move(table)) {}

  // The schema that the rows were added under.
  const TablePtr& table() const { return table_; }
  // Replaces the schema with one that has more columns at the end, or the same.
  void set_table(TablePtr table) { table_ = std::move(table); }

  size_t row_count() const { return timestamps_.size(); }
  size_t set_count() const { return set_count_; }
  // Nanoseconds since the epoch.
  const std::vector<int64_t>& timestamps() const { return timestamps_; }
  // The tag set of each row, by its number.
  const std::vector<int64_t>& row_sets() const { return row_sets_; }
  // Columns that any row has touched; the span may be shorter than the schema.
  std::span<const BatchColumn> columns() const { return columns_; }

  // Adds a tag set; the AddTag calls that follow give its values, at most one for each tag.
  uint32_t AddSet() { return set_count_++; }
  void AddTag(size_t column, std::string_view value) { At(column).AddTag(set_count_ - 1, value); }

  // Adds a row; the calls that follow give its values, at most one for each field, of the type that
  // the field has.
  void AddRow(uint32_t set, int64_t timestamp_ns) {
    row_sets_.push_back(set);
    timestamps_.push_back(timestamp_ns);
  }
  void AddString(size_t column, std::string_view text) { At(column).AddString(row(), text); }
  void AddNumber(size_t column, int64_t bits) { At(column).AddNumber(row(), bits); }

  // Adds many sets or rows at once; their values are given column by column then, with the number
  // of the first of them, which is returned.
  uint32_t AddSets(uint32_t count) { return std::exchange(set_count_, set_count_ + count); }
  size_t AddRows(std::span<const int64_t> sets, std::span<const int64_t> timestamps_ns);
  BatchColumn& column(size_t column) { return At(column); }

  // Adds the sets and rows of another batch of the same table, whose schema has no more columns.
  void Append(const TableBatch& other);

  // Removes all rows and sets, and keeps the memory.
  void Clear();

 private:
  size_t row() const { return timestamps_.size() - 1; }
  BatchColumn& At(size_t column) {
    return column < columns_.size() ? columns_[column] : AddColumns(column);
  }
  BatchColumn& AddColumns(size_t column);

  TablePtr table_;
  std::vector<int64_t> timestamps_;
  std::vector<int64_t> row_sets_;
  uint32_t set_count_ = 0;
  std::vector<BatchColumn> columns_;
};

// Finds the values of a batch's rows, so that a batch can be taken apart row by row at a cost that
// only depends on the values there are. Refers to the batch, which must not change.
class RowIndex {
 public:
  explicit RowIndex(const TableBatch& batch);

  // Appends the rows given by position, in that order, and the tag sets that they have.
  void CopyRows(std::span<const uint32_t> rows, TableBatch& out) const;

 private:
  struct ValueRef {
    uint32_t column;
    uint32_t position;
  };

  // Values by what they belong to; those of number n begin at begins[n].
  struct Values {
    std::vector<ValueRef> refs;
    std::vector<uint32_t> begins;

    std::span<const ValueRef> Of(uint32_t n) const {
      return std::span(refs).subspan(begins[n], begins[n + 1] - begins[n]);
    }
  };
  // Of tags by set, or of fields by row.
  static Values Collect(const TableBatch& batch, bool tags, size_t count);

  void CopySet(uint32_t set, TableBatch& out) const;

  const TableBatch& batch_;
  Values by_set_;
  Values by_row_;
};

// More rows than this do not go into one block.
inline constexpr size_t kMaxBlockRows = 32768;

// How many bytes of tag values the store keeps of a batch, at most, beyond each of them once: its
// rows are on so many days (UTC), and every block has the values of its own rows.
size_t RepeatedTagBytes(const TableBatch& batch, size_t days);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BATCH_H_

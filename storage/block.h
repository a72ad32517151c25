#ifndef SLUICE_STORAGE_BLOCK_H_
#define SLUICE_STORAGE_BLOCK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/batch.h"
#include "storage/bitmap.h"
#include "storage/schema.h"
#include "storage/value.h"

namespace sluice::storage {

// A block is many rows of one table, column by column, in one byte string. The grammar stands at
// the top of block.cc.

// More rows than this do not go into one block.
inline constexpr size_t kMaxBlockRows = 65536;

// Encodes the rows of `batch`: at least one, at most kMaxBlockRows.
std::string EncodeBlock(const TableBatch& batch);

// A decoded column. Its texts point into the bytes of the block.
class BlockColumn {
 public:
  ColumnType type() const { return type_; }
  // The value in `row`; std::monostate where there is none.
  Value At(size_t row) const;

  // Tags only. The position in dictionary() of the row's value, or nothing.
  std::optional<uint32_t> CodeAt(size_t row) const;
  const std::vector<std::string_view>& dictionary() const { return strings_; }

 private:
  friend class Block;

  // Where the row's value stands among the present ones.
  std::optional<size_t> Position(size_t row) const;

  ColumnType type_ = ColumnType::kTag;
  bool all_present_ = false;
  Bitmap present_;
  BitmapRank rank_;
  std::vector<int64_t> numbers_;
  std::vector<std::string_view> strings_;
};

// Reads a block. Any bytes are safe to open: what is not a block is DataLoss, at the latest when
// the damaged column is decoded. Refers to the bytes, which must outlive it.
class Block {
 public:
  static absl::StatusOr<Block> Open(std::string_view bytes);

  size_t row_count() const { return row_count_; }
  // Nanoseconds, of the earliest and the latest row.
  int64_t min_time_ns() const { return min_time_ns_; }
  int64_t max_time_ns() const { return max_time_ns_; }

  // The positions of the columns that have a value in some row.
  std::vector<size_t> columns() const;
  // The type of such a column.
  std::optional<ColumnType> TypeOf(size_t column) const;
  // Whether some row may have `value` in the tag at position `column`; judged by the column's
  // smallest and largest value alone.
  bool MayHoldTag(size_t column, std::string_view value) const;

  absl::StatusOr<std::vector<int64_t>> DecodeTimestamps() const;
  // A column without any value where the block does not have it.
  absl::StatusOr<BlockColumn> DecodeColumn(size_t column) const;

 private:
  struct Entry {
    size_t column;
    ColumnType type;
    size_t present_count;
    std::string_view min;
    std::string_view max;
    std::string_view bytes;
  };

  const Entry* Find(size_t column) const;

  size_t row_count_ = 0;
  int64_t min_time_ns_ = 0;
  int64_t max_time_ns_ = 0;
  std::string_view timestamps_;
  std::vector<Entry> entries_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_H_

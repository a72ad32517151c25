#ifndef SLUICE_STORAGE_BLOCK_BLOCK_H_
#define SLUICE_STORAGE_BLOCK_BLOCK_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/bitmap.h"
#include "storage/schema.h"
#include "storage/value.h"

// A block is many rows of one table, column by column. It is two byte strings: a directory, which
// tells what there is and is all that is read to pass a block over, and a body, of which a reader
// decodes the columns that it wants. block_encoder.h makes one.
//
//   directory  := version:byte(2) flags:byte row_count:varint min_time:zigzag max_time:zigzag
//                 set_count:varint timestamps:section sets:section
//                 column_count:varint entry{column_count}
//   entry      := position:varint type:byte present_count:varint min:bytes max:bytes section
//   section    := stored_size:varint raw_size:varint       raw_size 0: stored as it is, else
//                                                          compressed by ZSTD
//   body       := timestamps sets column{column_count}     each as many bytes as its section says
//   timestamps := timestamps(row_count)
//   sets       := integers(row_count)       the tag set of each row; or, where flags has bit 0:
//               | integers(set_count)       how many rows each set has, which stand together
//   column     := [validity] values
//   validity   := le64{ceil(n / 64)}        one bit for each of n rows, or of a tag's n sets; left
//                                           out when all have a value
//   values     := tag:      value_count:varint texts(value_count) integers(present_count)
//               | float:    byte(0) planes           the first bytes of all IEEE 754 doubles, then
//                                                    their second bytes, and so on
//               |           byte(1 + k) integers(present_count)      each divided by 10^k
//               | integer, unsigned, boolean:  integers(present_count)
//               | string:   texts(present_count)
//   texts(n)   := integers(n), the lengths; then all texts, one after the other
//
// The words are those of bytes.h and integers.h. Entries ascend by position, columns follow in the
// same order. A tag has a value for each tag set instead of each row; its integers are positions
// among its texts. In a block with flag 0, the rows are sorted by the sets, the sets by their tags
// in the order of the columns (a tag that is not there goes first), the rows of a set by time, and
// no point comes twice.
//
// min and max are the smallest and largest value: a tag's text cut at 64 bytes,
// a number's 64 bits as le64 (a float's IEEE bits), nothing for strings and booleans. A reader
// refuses a version or flag that it does not know.

namespace sluice::storage {

struct EncodedBlock {
  std::string directory;
  std::string body;
  // What Block::Open of the directory would tell.
  size_t row_count = 0;
  size_t decoded_bytes = 0;
};

// What a block takes decoded, roughly, by its directory: a number takes eight bytes, whatever it
// takes on disk; a tag set some more. `section_bytes` is the larger size of each section, summed.
inline size_t DecodedBytes(size_t row_count, size_t set_count, size_t column_count,
                           size_t section_bytes) {
  return section_bytes + row_count * (16 + 8 * column_count) + set_count * (64 + 8 * column_count);
}

// A decoded column. Its texts point into the bytes of the block, or into memory that it shares with
// its copies.
class BlockColumn {
 public:
  ColumnType type() const { return type_; }
  // The value of a row, or of a tag for a set; std::monostate where there is none.
  Value At(size_t row) const;

  // Tags only. The position in dictionary() of the set's value, or nothing.
  std::optional<uint32_t> CodeAt(size_t set) const;
  const std::vector<std::string_view>& dictionary() const { return strings_; }

  // Where the row's value stands among the present ones.
  std::optional<size_t> Position(size_t row) const;
  // The column of a block that has only these rows, in this order. Not for tags.
  BlockColumn Select(std::span<const uint32_t> rows) const;
  // The values that are present, as BatchColumn has them.
  const std::vector<int64_t>& numbers() const { return numbers_; }
  const std::vector<std::string_view>& strings() const { return strings_; }
  // What it takes, roughly.
  size_t memory_bytes() const;
  // Keeps alive what the texts point into, where that is not the block's own bytes; may be null.
  std::shared_ptr<const void> owner() const { return owner_; }

 private:
  friend class Block;

  ColumnType type_ = ColumnType::kTag;
  bool all_present_ = false;
  Bitmap present_;
  BitmapRank rank_;
  std::vector<int64_t> numbers_;
  std::vector<std::string_view> strings_;
  // What the texts point into, where the column was compressed.
  std::shared_ptr<const std::string> owner_;
};

// Which rows somebody looks for.
struct BlockFilter {
  // Nanoseconds, both inclusive.
  int64_t min_time_ns = std::numeric_limits<int64_t>::min();
  int64_t max_time_ns = std::numeric_limits<int64_t>::max();
  // Values of tags, by their columns.
  std::vector<std::pair<size_t, std::string_view>> tags = {};
};

// Reads a block. Any bytes are safe to open: what is not a block is DataLoss, at the latest when
// the damaged column is decoded. Refers to the bytes, which must outlive it.
class Block {
 public:
  // The directory alone, or with the body right behind it.
  static absl::StatusOr<Block> Open(std::string_view bytes);
  // The same, or nothing where the block has no row that passes the filter, judged by its time
  // range and the smallest and largest value of each tag alone. Reads no further than it needs to.
  static absl::StatusOr<std::optional<Block>> OpenIfMatches(std::string_view bytes,
                                                            const BlockFilter& filter);
  // Whether the Decode… functions may be called.
  bool has_body() const { return body_.size() == body_size_; }
  absl::Status AttachBody(std::string_view body);

  size_t row_count() const { return row_count_; }
  size_t set_count() const { return set_count_; }
  bool sorted() const { return sorted_; }
  // Nanoseconds, of the earliest and the latest row.
  int64_t min_time_ns() const { return min_time_ns_; }
  int64_t max_time_ns() const { return max_time_ns_; }
  // What it takes decoded, roughly.
  size_t decoded_bytes() const { return decoded_bytes_; }
  size_t body_size() const { return body_size_; }

  // The positions of the columns that have a value in some row.
  std::vector<size_t> columns() const;
  // The type of such a column.
  std::optional<ColumnType> TypeOf(size_t column) const;
  // About a tag that the block has: the first bytes of its smallest value, whether every set has
  // the tag, and whether `min` is the one value that all of them have.
  struct TagRange {
    std::string_view min;
    bool everywhere;
    bool single;
  };
  TagRange RangeOfTag(size_t column) const;

  absl::StatusOr<std::vector<int64_t>> DecodeTimestamps() const;
  // The tag set of each row.
  absl::StatusOr<std::vector<uint32_t>> DecodeSets() const;
  // A column without any value where the block does not have it.
  absl::StatusOr<BlockColumn> DecodeColumn(size_t column) const;

 private:
  struct Section {
    size_t begin = 0;
    size_t stored_size = 0;
    size_t raw_size = 0;
  };
  struct Entry {
    size_t column;
    ColumnType type;
    size_t present_count;
    std::string_view min;
    std::string_view max;
    Section section;
  };
  // The bytes of a section, and who owns them where they were compressed.
  struct Raw {
    std::string_view bytes;
    std::shared_ptr<const std::string> owner;
  };

  // False where that showed that nothing passes the filter.
  absl::StatusOr<bool> ReadDirectory(class ByteReader& reader, const BlockFilter& filter);
  bool ReadSection(class ByteReader& reader, Section& section);
  absl::StatusOr<Raw> RawOf(const Section& section) const;
  const Entry* Find(size_t column) const;
  size_t CountOf(const Entry& entry) const;

  size_t row_count_ = 0;
  size_t set_count_ = 0;
  bool sorted_ = false;
  int64_t min_time_ns_ = 0;
  int64_t max_time_ns_ = 0;
  Section timestamps_;
  Section sets_;
  std::vector<Entry> entries_;
  size_t body_size_ = 0;
  size_t decoded_bytes_ = 0;
  std::string_view body_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_BLOCK_H_

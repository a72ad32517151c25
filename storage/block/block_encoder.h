#ifndef SLUICE_STORAGE_BLOCK_BLOCK_ENCODER_H_
#define SLUICE_STORAGE_BLOCK_BLOCK_ENCODER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "storage/batch.h"
#include "storage/block/block.h"
#include "storage/block/integers.h"

namespace sluice::storage {

// The rows of a batch, in their order: at least one, at most kMaxBlockRows. Packed quickly.
EncodedBlock EncodeBlock(const TableBatch& batch);

// Makes a block column by column; block.h has the format. The rows first, then every column that
// has a value, by ascending position. For one thread.
class BlockEncoder {
 public:
  // With kDense, sections are compressed as well.
  explicit BlockEncoder(Packing packing) : packing_(packing) {}

  // The tag set of each row.
  void AddRows(std::span<const int64_t> timestamps_ns, std::span<const int64_t> row_sets,
               size_t set_count);
  // Sorted rows: how many each set has.
  void AddSortedRows(std::span<const int64_t> timestamps_ns, std::span<const int64_t> set_rows);

  // Which sets or rows have a value, null for all; and the values that are present.
  void AddTag(size_t position, const Bitmap* present, const StringList& dictionary,
              std::span<const int64_t> codes);
  void AddNumbers(size_t position, ColumnType type, const Bitmap* present,
                  std::span<const int64_t> numbers);
  void AddStrings(size_t position, const Bitmap* present, const StringList& texts);

  EncodedBlock Finish();

 private:
  void AddTimestamps(std::span<const int64_t> timestamps_ns);
  void PutValidity(const Bitmap* present, size_t count);
  void PutTexts(const StringList& texts);
  void PutFloats(std::span<const int64_t> bits);
  void PutEntry(size_t position, ColumnType type, size_t present_count, std::string_view min,
                std::string_view max);
  // Closes the section that has been appended to the body since the last.
  void EndSection(std::string& sizes);

  const Packing packing_;
  bool sorted_ = false;
  size_t row_count_ = 0;
  size_t set_count_ = 0;
  int64_t min_time_ns_ = 0;
  int64_t max_time_ns_ = 0;
  // The directory from the first section on, without the number of columns.
  std::string row_sections_;
  size_t column_count_ = 0;
  std::string entries_;
  std::string body_;
  size_t section_begin_ = 0;
  // As in DecodedBytes.
  size_t section_bytes_ = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_BLOCK_ENCODER_H_

#ifndef SLUICE_STORAGE_COMPACTION_H_
#define SLUICE_STORAGE_COMPACTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/block.h"
#include "storage/block_encoder.h"
#include "storage/schema.h"

namespace sluice::storage {

// Blocks of a partition that are merged together, or have been: neighbours in the order of commits.
struct Run {
  size_t rows = 0;
  // Decoded, roughly.
  size_t bytes = 0;
};

// Which runs to merge: none where both are the same.
struct RunRange {
  size_t first = 0;
  size_t last = 0;

  friend bool operator==(const RunRange&, const RunRange&) = default;
};

// Runs are given in the order of commits. The oldest neighbours are chosen, and as many of them as
// can be, that together are at least `ratio` times as large as the largest of them and within the
// limits of one merge. So a row is merged about log_ratio(rows in a partition) times in all.
RunRange ChooseRuns(std::span<const Run> runs, size_t ratio, size_t max_bytes);

// What one merge may take, besides its bytes: how long it runs, and the row numbers that it keeps.
inline constexpr size_t kMaxMergeRows = size_t{2} << 20;
inline constexpr size_t kMaxMergeRuns = 4096;

// Merges blocks of one table and partition, given in the order of commits and with their bodies,
// into sorted ones without a point twice; no more than there were. Of two writes of a point the
// later one wins, field by field (contract W-65). Points before `min_time_ns` are dropped, and
// there may be no block left. DataLoss where a block is damaged.
//
// It goes column by column, so that of all rows it holds one column decoded at a time.
absl::StatusOr<std::vector<EncodedBlock>> Compact(const TableSchema& table,
                                                  std::span<const Block> blocks,
                                                  int64_t min_time_ns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_COMPACTION_H_

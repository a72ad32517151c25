#ifndef SLUICE_STORAGE_BLOCK_COMPACTION_H_
#define SLUICE_STORAGE_BLOCK_COMPACTION_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/block/block.h"
#include "storage/block/block_encoder.h"
#include "storage/schema.h"

namespace sluice::storage {

// Merges blocks of one table and partition, given in the order of commits and with their bodies,
// into sorted ones without a point twice; no more than there were. Of two writes of a point the
// later one wins, field by field (contract W-65). Points before `min_time_ns` are dropped, and
// there may be no block left. DataLoss where a block is damaged.
//
// It goes column by column, so that of all rows it holds one column decoded at a time, and of the
// tags no more than the blocks have. A block that it makes decodes to about 16 MiB at most, unless
// there would be more blocks than there were.
absl::StatusOr<std::vector<EncodedBlock>> Compact(const TableSchema& table,
                                                  std::span<const Block> blocks,
                                                  int64_t min_time_ns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_COMPACTION_H_

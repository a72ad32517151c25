#ifndef SLUICE_STORAGE_MERGE_H_
#define SLUICE_STORAGE_MERGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/store.h"

namespace sluice::storage {

// A block that a scan has to read.
struct BlockRef {
  // Its place in the order of commits.
  uint64_t sequence;
  int64_t min_time_ns;
};

// Reads a block's bytes.
using BlockLoader = std::function<absl::StatusOr<std::string>(const BlockRef&)>;

// Merges blocks of one table into rows (contract W-65).
//
// It sweeps through time: a block is loaded when the sweep reaches its first row and released after
// its last, and rows leave in slices of time. So memory holds the blocks that overlap the moment of
// the sweep, not all of them. Within a slice rows are sorted by time and a hash of their tags,
// which brings the writes of one point together; equal hashes are compared tag by tag.
class BlockMerge {
 public:
  // `blocks` in any order. `loader` is called once for each.
  BlockMerge(const ScanSpec& spec, std::vector<BlockRef> blocks, BlockLoader loader);
  ~BlockMerge();

  // As Scan::Next.
  absl::Status Next(ScanRows& rows);

 private:
  class OpenBlock;
  struct RowRef;

  absl::Status OpenBlocks();
  int64_t EndOfSlice() const;
  void TakeSlice(int64_t last_time_ns, std::vector<RowRef>& slice);
  void EmitPoints(std::vector<RowRef>& slice, ScanRows& rows) const;
  void EmitPoint(const RowRef* writes, size_t count, ScanRows& rows) const;
  bool SameSeries(const RowRef& a, const RowRef& b) const;

  ScanSpec spec_;
  std::vector<size_t> tag_columns_;
  // Descending by first row, so that the next one is at the end.
  std::vector<BlockRef> waiting_;
  BlockLoader loader_;
  // Ascending by sequence.
  std::vector<std::shared_ptr<OpenBlock>> open_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_MERGE_H_

#ifndef SLUICE_STORAGE_BLOCK_SWEEP_H_
#define SLUICE_STORAGE_BLOCK_SWEEP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/block/block.h"
#include "storage/store.h"

namespace sluice::storage {

// A block that a scan has to read.
struct BlockRef {
  // Its place in the order of commits.
  uint64_t sequence;
  // See block_key.h.
  uint64_t run;
  // Told from its directory: no row comes before (key, time_ns). See series_key.h.
  std::string first_key;
  int64_t first_time_ns;

  static BlockRef Of(uint64_t sequence, uint64_t run, const Block& block, const TableSchema& table);
};

// Reads a block's bytes, the body right behind the directory.
using BlockLoader = std::function<absl::StatusOr<std::string>(const BlockRef&)>;

// Merges blocks of one table into rows (contract W-65).
//
// It sweeps through the series, and through time within one: a block is loaded when the sweep
// reaches its first row and released after its last, and rows leave in slices. Sorted blocks of one
// run follow one another, so memory holds the wanted rows of one of each run, and of all blocks
// that are not merged yet; where that is too much for ScanSpec::charge, Next is Unavailable.
class Sweep {
 public:
  // `blocks` in any order. `loader` is called once for each.
  Sweep(const ScanSpec& spec, std::vector<BlockRef> blocks, BlockLoader loader);
  ~Sweep();

  // As Scan::Next.
  absl::Status Next(ScanRows& rows);

 private:
  class OpenBlock;
  struct RowRef;

  absl::Status OpenBlocks();
  size_t TakeSlice(std::vector<RowRef>& slice, std::vector<std::shared_ptr<const void>>& owners);
  void EmitPoints(const std::vector<RowRef>& slice, ScanRows& rows) const;
  void EmitPoint(const RowRef* writes, size_t count, ScanRows& rows) const;
  static bool Later(const std::shared_ptr<OpenBlock>& a, const std::shared_ptr<OpenBlock>& b);

  ScanSpec spec_;
  std::vector<size_t> tag_columns_;
  size_t slice_rows_;
  // Descending by first row, so that the next one is at the end.
  std::vector<BlockRef> waiting_;
  BlockLoader loader_;
  // A heap; the one with the next row is in front.
  std::vector<std::shared_ptr<OpenBlock>> open_;
  // Of Next.
  uint64_t calls_ = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_SWEEP_H_

#ifndef SLUICE_STORAGE_BLOCK_RUNS_H_
#define SLUICE_STORAGE_BLOCK_RUNS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <span>
#include <vector>

#include "storage/block/block_key.h"

namespace sluice::storage {

// What one merge may take, besides its bytes: how long it runs, and the row numbers that it keeps.
inline constexpr size_t kMaxMergeRows = size_t{2} << 20;
inline constexpr size_t kMaxMergeRuns = 1024;

// How much larger than the largest of its runs the result of a merge has to be. While points keep
// coming to a partition a row is merged as few times as can be; when it has been quiet for a while,
// until few runs are left. Where they are large, few is enough.
enum class Eagerness : size_t { kBusy = 16, kQuiet = 2 };
inline constexpr size_t kLargeRunRows = size_t{1} << 17;
inline constexpr size_t kLargeRunRatio = 8;

// The runs of one partition that may still be merged, in the order of commits, and which of them
// are to be merged next. A run is the blocks that one merge made, or one block as it was committed.
//
// Chosen are the oldest neighbours, and as many of them as can be, that together are large enough
// beside the largest of them and within the limits of one merge. So a row is merged about
// log(rows in a partition) times in all, to the base of the eagerness.
//
// To choose costs no more in a partition of a million blocks than in one of a thousand. A run from
// which on the limits are reached before enough has come together will never be the first of a
// merge: what comes later comes behind it. Such runs are passed over for good, and forgotten where
// that holds at any eagerness. What is left to look at is a few runs of each size, and the newest
// blocks.
//
// For one thread at a time.
class Runs {
 public:
  // Decoded, of one merge.
  explicit Runs(size_t max_merge_bytes);

  bool empty() const { return runs_.empty(); }
  // Of the oldest block, where there is one.
  uint64_t oldest_sequence() const { return runs_.front().blocks.front().key.sequence; }
  // Of the newest block; 0 where there is none.
  uint64_t newest_sequence() const { return newest_sequence_; }

  // A block that was committed later than all before. One that is known already is passed over.
  void Append(const StoredBlock& block);
  // One that was committed before all that are known.
  void Prepend(const StoredBlock& block);
  // Whether it, the next one to be prepended, has to be known where nothing before it is left to
  // merge: not if more than one merge can take has come after it.
  bool NeedsOlder(const StoredBlock& block) const;

  // Blocks that are to be merged, all below `before_sequence`; none if there are none. Between this
  // and the next call of it only Append, and one of Replace and SetDamaged, may come.
  std::span<const StoredBlock> Choose(uint64_t before_sequence, Eagerness eagerness);
  // The chosen blocks have become these, of one run; or none, where all their points had expired.
  void Replace(std::vector<StoredBlock> merged);
  // There is something wrong with one of the chosen blocks: none of them is chosen any more.
  void SetDamaged();

 private:
  struct Run {
    size_t rows = 0;
    size_t bytes = 0;
    std::vector<StoredBlock> blocks;
  };
  // Positions of runs; none where both are the same.
  struct Range {
    size_t first = 0;
    size_t last = 0;
  };
  // What comes of looking at the runs from one on.
  struct View {
    // The longest that is large enough.
    Range range;
    // Whether the limits ended it, rather than that there is no more yet.
    bool ended_by_limits = false;
    bool may_be_merged_when_quiet = false;
  };

  void Add(const StoredBlock& block, Run& run) const;
  bool IsOfFirstRun(const StoredBlock& block) const;
  View LookFrom(size_t first, uint64_t before_sequence, Eagerness eagerness) const;

  size_t max_rows_;
  size_t max_bytes_;
  std::deque<Run> runs_;
  uint64_t newest_sequence_ = 0;
  // Of all runs that were prepended.
  size_t prepended_rows_ = 0;
  size_t prepended_bytes_ = 0;
  // Runs before this one are never the first of a merge of a busy partition.
  size_t busy_first_ = 0;
  Range chosen_;
  std::vector<StoredBlock> chosen_blocks_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_RUNS_H_

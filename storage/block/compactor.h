#ifndef SLUICE_STORAGE_BLOCK_COMPACTOR_H_
#define SLUICE_STORAGE_BLOCK_COMPACTOR_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/block/block_log.h"
#include "storage/block/runs.h"

namespace sluice::storage {

// What the compactor is about to do, or has done.
enum class CompactionStep { kChosen, kRead, kMerged, kReplaced, kExpiring, kExpired };

struct CompactionOptions {
  // That merge blocks in the background; none merges nothing.
  size_t threads = 1;
  // What one merge may take, decoded.
  size_t max_merge_bytes = size_t{256} << 20;
  // Of how many partitions it keeps what is to be merged. Others are not merged until points come
  // to them when there is room again.
  size_t max_partitions = 100'000;
  // How long a partition has to be left alone before what is left of it is merged.
  std::chrono::milliseconds quiet = std::chrono::seconds(2);
  // How often expired points are looked for.
  std::chrono::milliseconds expiry_period = std::chrono::minutes(1);
  // Called at each step, by any thread, so that a test can end the process there.
  std::function<void(CompactionStep)> at_step = nullptr;
};

// What has been merged in the background since the store was opened.
struct CompactionStats {
  uint64_t merges = 0;
  // That went into them.
  uint64_t merged_blocks = 0;
  uint64_t merged_rows = 0;
  double seconds = 0;
  // Merges that found a damaged block or could not be written, and expired partitions that could
  // not be dropped. Nothing is lost by them; what can be done again is.
  uint64_t failures = 0;
  // Dropped, for all their points had expired.
  uint64_t expired_blocks = 0;
};

// Merges blocks in the background and drops what has expired. runs.h has which blocks are merged,
// compaction.h how.
//
// What makes it right, whole: **blocks that are merged are neighbours in the order of commits, and
// nothing can still come between them.** Of two writes of a point the one with the later sequence
// wins (W-65), and a merge settles that among its inputs; were a block with a sequence between
// theirs committed or found afterwards, it would be later than some and earlier than others, and
// its output could stand neither before nor behind it. Four things together see to that:
//   1. An engine gives out sequences in the order in which commits become visible, tells of a
//      commit's blocks (Added) before FirstInFlight passes them, and never gives one out twice.
//   2. A merge is chosen by first reading FirstInFlight and then taking in what Added has told:
//      every block below the former is then known, and only such are merged.
//   3. A partition is known from some block on without a gap: its older blocks are listed, and of
//      the newer ones Added tells. What is known is dropped as a whole where any of it is in doubt.
//   4. One thread at a time works on a partition, and the output takes the highest sequences of its
//      inputs, in one step with their removal. So it stands where they stood.
//
// It knows the partitions that have been written to lately, and no other: one is forgotten once it
// has been quiet for a while and is merged. Commits share no lock with any of this: Added leaves
// its blocks in a list that a thread takes as a whole. The threads have a lower priority than those
// that serve requests. Safe for use by many threads.
class Compactor {
 public:
  // `engine` must outlive Stop.
  Compactor(BlockEngine& engine, const CompactionOptions& options);
  // Waits for merges under way, and starts no more. To be called before the last owner lets go.
  void Stop();

  // Watches a log until it is gone, for what expires.
  void Watch(const std::shared_ptr<BlockLog>& log);
  // There are new blocks. In the order of commits.
  void Added(const std::shared_ptr<BlockLog>& log, std::vector<StoredBlock> blocks);
  // There are partitions that are not merged, from before the store was opened.
  void Found(const std::shared_ptr<BlockLog>& log, uint32_t table, int64_t partition,
             size_t unmerged_blocks);

  CompactionStats stats() const;

 private:
  using Clock = std::chrono::steady_clock;
  // Log, table, partition.
  using PartitionId = std::tuple<uint32_t, uint32_t, int64_t>;

  struct Partition {
    explicit Partition(size_t max_merge_bytes) : runs(max_merge_bytes) {}

    std::weak_ptr<BlockLog> log;
    Runs runs;
    // That are not merged, and that no thread has looked at in vain.
    size_t new_blocks = 0;
    // Whether all older blocks that matter are in `runs`.
    bool complete = false;
    // How many blocks that nobody has tried to merge are among the older ones, at most. Those of a
    // partition that was known, and then forgotten, have been tried.
    size_t untried_blocks = 0;
    // A thread works on it.
    bool busy = false;
    // It is in ready_.
    bool ready = false;
    Clock::time_point last_added;
  };

  // What came of looking at a partition: kInFlight where there may be something to merge once a
  // commit is done.
  enum class Progress { kMerged, kNothing, kInFlight };

  // What Added has told of.
  struct News {
    std::weak_ptr<BlockLog> log;
    uint32_t log_id;
    std::vector<StoredBlock> blocks;
  };

  void Loop(std::stop_token stop);
  bool Step(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void TakeNews();
  void Learn(const std::vector<News>& news);
  // Null where there are too many.
  Partition* Know(const PartitionId& id, const std::weak_ptr<BlockLog>& log, Clock::time_point now);
  void MakeReady(const PartitionId& id, Partition& partition);
  bool WorkOnOne(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void Work(const PartitionId& id, Eagerness eagerness, std::unique_lock<std::mutex>& lock,
            const std::stop_token& stop);
  absl::StatusOr<Progress> MergeOnce(const PartitionId& id, Partition& partition, BlockLog& log,
                                     Eagerness eagerness, std::unique_lock<std::mutex>& lock);
  void Conclude(const PartitionId& id, Partition& partition, Eagerness eagerness,
                const absl::StatusOr<Progress>& progress);
  absl::Status Complete(const PartitionId& id, Partition& partition, BlockLog& log,
                        std::unique_lock<std::mutex>& lock);
  absl::StatusOr<std::vector<StoredBlock>> Merge(BlockLog& log,
                                                 std::span<const StoredBlock> chosen);
  bool RestIfQuiet(std::unique_lock<std::mutex>& lock);
  bool ExpireIfDue(std::unique_lock<std::mutex>& lock);
  std::vector<std::shared_ptr<BlockLog>> Logs();
  void AtStep(CompactionStep step) const;

  BlockEngine& engine_;
  const CompactionOptions options_;

  // The only lock that commits take; held for as long as it takes to append to or take the list.
  std::mutex news_mutex_;
  std::vector<News> news_;
  size_t news_blocks_ = 0;
  // Memory could not be had for some of it: from then on nothing is known without a gap, and so
  // nothing is merged until the store is opened again.
  std::atomic<bool> has_gap_ = false;

  // Guards all below.
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<PartitionId, Partition> partitions_;
  // With enough new blocks to be merged.
  std::deque<PartitionId> ready_;
  bool ready_was_last_ = false;
  // To be looked at when they have been quiet for a while; every partition is in here.
  std::set<std::pair<Clock::time_point, PartitionId>> watched_;
  // There were more partitions than may be known: what is not known may never have been tried.
  bool has_passed_over_ = false;
  std::vector<std::weak_ptr<BlockLog>> logs_;
  Clock::time_point last_added_;
  Clock::time_point next_expiry_;
  bool at_rest_ = true;
  CompactionStats stats_;

  std::vector<std::jthread> threads_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_COMPACTOR_H_

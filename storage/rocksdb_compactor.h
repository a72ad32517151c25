#ifndef SLUICE_STORAGE_ROCKSDB_COMPACTOR_H_
#define SLUICE_STORAGE_ROCKSDB_COMPACTOR_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include "storage/rocksdb_database.h"
#include "storage/rocksdb_engine.h"
#include "storage/rocksdb_store.h"

namespace sluice::storage {

// Merges blocks in the background, drops what has expired, and when there is nothing else to do
// brings to rest what RocksDB has in memory and in its log. compaction.h has the policy.
//
// It knows the blocks of every partition that has been written to lately, and of no other: a
// partition is forgotten once it has been quiet for a while and is merged. Its threads have a lower
// priority than those that serve requests. Safe for use by many threads.
class RocksDbCompactor {
 public:
  RocksDbCompactor(std::shared_ptr<RocksDbEngine> engine, const CompactionOptions& options);
  // Waits for merges under way, and starts no more. To be called before the last owner lets go.
  void Stop();

  // Watches a database until it is gone.
  void Watch(const std::shared_ptr<RocksDbDatabase>& database);
  // There are new blocks.
  void Added(const std::shared_ptr<RocksDbDatabase>& database, std::span<const StoredBlock> blocks);
  // A database is gone: what keeps its part of the log is to be flushed soon.
  void Dropped();

  CompactionStats stats() const;

 private:
  using Clock = std::chrono::steady_clock;
  // Database, table, partition.
  using PartitionId = std::tuple<uint32_t, uint32_t, int64_t>;

  struct Partition {
    std::weak_ptr<RocksDbDatabase> database;
    std::map<BlockKey, StoredBlock> blocks;
    // Since a thread last looked.
    size_t new_blocks = 0;
    // Whether `blocks` are all there are.
    bool complete = false;
    // A thread works on it.
    bool busy = false;
    // It is in ready_.
    bool ready = false;
    Clock::time_point last_added;
  };

  // What came of looking at a partition: kInFlight where there may be something to merge once a
  // commit is done.
  enum class Progress { kMerged, kNothing, kInFlight };

  void Loop(std::stop_token stop);
  bool Step(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void MakeReady(const PartitionId& id, Partition& partition);
  bool WorkOnOne(std::unique_lock<std::mutex>& lock, const std::stop_token& stop);
  void Work(const PartitionId& id, size_t ratio, std::unique_lock<std::mutex>& lock,
            const std::stop_token& stop);
  absl::StatusOr<Progress> MergeOnce(const PartitionId& id, Partition& partition,
                                     RocksDbDatabase& database, size_t ratio,
                                     std::unique_lock<std::mutex>& lock);
  void Conclude(const PartitionId& id, Partition& partition, size_t ratio,
                const absl::StatusOr<Progress>& progress);
  absl::Status Complete(const PartitionId& id, Partition& partition, RocksDbDatabase& database,
                        std::unique_lock<std::mutex>& lock);
  // Neighbours in the order of commits that are to be merged; none if there are none.
  std::vector<StoredBlock> Choose(const Partition& partition, uint64_t before_sequence,
                                  size_t ratio) const;
  absl::Status Merge(RocksDbDatabase& database, const std::vector<StoredBlock>& chosen,
                     std::vector<StoredBlock>& merged);
  bool RestIfQuiet(std::unique_lock<std::mutex>& lock);
  bool ExpireIfDue(std::unique_lock<std::mutex>& lock);
  bool FreeLogIfDue(std::unique_lock<std::mutex>& lock);
  std::vector<std::shared_ptr<RocksDbDatabase>> Databases();
  void AtStep(CompactionStep step) const;

  const std::shared_ptr<RocksDbEngine> engine_;
  const CompactionOptions options_;

  // Guards all below.
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::map<PartitionId, Partition> partitions_;
  // With enough new blocks to be merged.
  std::deque<PartitionId> ready_;
  bool ready_was_last_ = false;
  // To be looked at when they have been quiet for a while; every partition is in here.
  std::set<std::pair<Clock::time_point, PartitionId>> watched_;
  std::vector<std::weak_ptr<RocksDbDatabase>> databases_;
  Clock::time_point last_added_;
  Clock::time_point next_expiry_;
  bool at_rest_ = true;
  bool log_is_to_be_freed_ = false;
  CompactionStats stats_;

  std::vector<std::jthread> threads_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_COMPACTOR_H_

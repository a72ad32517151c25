#ifndef SLUICE_STORAGE_ROCKSDB_DATABASE_H_
#define SLUICE_STORAGE_ROCKSDB_DATABASE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/block/block.h"
#include "storage/block/block_log.h"
#include "storage/rocksdb/committer.h"
#include "storage/rocksdb/engine.h"
#include "storage/store.h"

namespace sluice::storage {

// How much time a partition of a new database spans.
inline constexpr int64_t kPartitionNs = int64_t{24} * 3600 * 1'000'000'000;

// How much a database holds. Blocks of no run have not been merged yet.
struct Holdings {
  int64_t blocks = 0;
  int64_t unmerged_blocks = 0;
  int64_t bytes = 0;
};

// NotFound, for a database that does not exist or no longer does.
absl::Status NoSuchDatabase(std::string_view name);

// A database in its column family.
class RocksDbDatabase : public Database,
                        public BlockLog,
                        public std::enable_shared_from_this<RocksDbDatabase> {
 public:
  // Owns `family`. `partition_ns` never changes in a database's life.
  RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine, std::shared_ptr<Committer> committer,
                  rocksdb::ColumnFamilyHandle* family, DatabaseRecord record, int64_t partition_ns);
  ~RocksDbDatabase() override;

  // A partition with several blocks that are not merged.
  struct Unmerged {
    uint32_t table;
    int64_t partition;
    size_t blocks;
  };
  // Reads the schema, and what blocks there are; once, before the first use. Tells which partitions
  // are not merged. DataLoss where some of it cannot be read; see `readable`.
  absl::Status Load(std::vector<Unmerged>& unmerged);
  // Whether the schema could be read; without it nothing can be done but Drop.
  bool readable() const { return readable_; }
  // What Load said.
  const absl::Status& damage() const { return damage_; }

  absl::StatusOr<DatabaseView> View() const override { return LastView(); }
  void Commit(WriteSet write, Durability durability, CommitDone done) override;
  absl::StatusOr<std::shared_ptr<const Snapshot>> TakeSnapshot() const override;
  absl::StatusOr<std::optional<int64_t>> FindMark(const std::string& writer) const override;

  DatabaseView LastView() const;
  void SetRecord(DatabaseRecord record);
  // The schema together with what a commit under way is about to add: all that a block has that a
  // snapshot taken before this call may see.
  std::shared_ptr<const DatabaseSchema> SchemaToRead() const;
  int64_t partition_ns() const { return partition_ns_; }
  RocksDbEngine& engine() const { return *engine_; }
  rocksdb::ColumnFamilyHandle* family() const { return family_; }

  // Waits for commits under way and gives up the points. Reads under way go on.
  absl::Status Drop();

  // For the committer. Holds off Drop while it is held; `dropped` is fixed meanwhile.
  std::shared_lock<std::shared_mutex> HoldOffDrop() const { return std::shared_lock(drop_mutex_); }
  bool dropped() const { return dropped_; }
  // The schema that a group of commits is about to make: readers know the new columns before the
  // first block that has them can be seen. Null takes it back.
  void SetNextSchema(std::shared_ptr<const DatabaseSchema> next);
  // It has been written: writers know it too.
  void PublishNextSchema();
  // A block has been written, or (-1) is gone.
  void Count(const StoredBlock& block, int64_t sign);

  Holdings holdings() const;
  // The bytes of a block: the directory, and right behind it the body. NotFound where there is no
  // such block.
  absl::StatusOr<std::string> ReadBlock(const BlockKey& key,
                                        const rocksdb::ReadOptions& options) const;

  // See BlockLog.
  uint32_t id() const override { return id_; }
  int64_t MinTimeNs() const override;
  TablePtr Table(uint32_t id) const override { return SchemaToRead()->FindById(id); }
  absl::Status ListNewestFirst(uint32_t table, int64_t partition, uint64_t before_sequence,
                               const std::function<bool(const StoredBlock&)>& visit) const override;
  absl::StatusOr<std::string> ReadForMerge(const BlockKey& key) const override;
  // Unavailable instead of waiting while RocksDB has stopped writes.
  absl::StatusOr<std::vector<StoredBlock>> Replace(std::span<const StoredBlock> before,
                                                   std::span<const EncodedBlock> after) override;
  absl::StatusOr<int64_t> DropExpiredPartitions() override;
  absl::Status ForgetMarks() override;

  // Writes to tables what is in memory. False if that failed; it then stays in the log.
  bool Flush();
  // Does so, and rewrites files of which much is garbage.
  void Settle();

 private:
  absl::Status LoadSchema();
  absl::Status LoadBlocks(std::vector<Unmerged>& unmerged);
  absl::Status WriteUnlessDropped(rocksdb::WriteBatch& batch);
  absl::StatusOr<int64_t> DropRange(const BlockKey& begin, const BlockKey& end);
  void FreeRange(const std::string& begin, const std::string& end);

  const std::shared_ptr<RocksDbEngine> engine_;
  const std::shared_ptr<Committer> committer_;
  rocksdb::ColumnFamilyHandle* const family_;
  const uint32_t id_;
  const int64_t partition_ns_;
  bool readable_ = false;
  absl::Status damage_;
  // Held while blocks are replaced or expire, so that each is counted once.
  std::mutex replace_mutex_;
  std::atomic<int64_t> blocks_ = 0;
  std::atomic<int64_t> unmerged_blocks_ = 0;
  std::atomic<int64_t> bytes_ = 0;

  // Held shared by commits and merges while they write, alone by Drop.
  mutable std::shared_mutex drop_mutex_;
  bool dropped_ = false;

  // Guards what is below.
  mutable std::mutex mutex_;
  DatabaseView view_;
  std::shared_ptr<const DatabaseSchema> next_schema_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_DATABASE_H_

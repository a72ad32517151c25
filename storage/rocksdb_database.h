#ifndef SLUICE_STORAGE_ROCKSDB_DATABASE_H_
#define SLUICE_STORAGE_ROCKSDB_DATABASE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/block.h"
#include "storage/keys.h"
#include "storage/rocksdb_engine.h"
#include "storage/store.h"

namespace sluice::storage {

// How much time a partition of a new database spans.
inline constexpr int64_t kPartitionNs = int64_t{24} * 3600 * 1'000'000'000;

// A block that is stored.
struct StoredBlock {
  BlockKey key;
  size_t rows = 0;
  // See Block::decoded_bytes.
  size_t decoded_bytes = 0;
  // Directory and body.
  size_t stored_bytes = 0;
  // Whether the body has a key of its own.
  bool has_own_body = false;
  // Its directory, or what it says, cannot be read.
  bool damaged = false;
};

// How much a database holds. Blocks of no run have not been merged yet.
struct Holdings {
  int64_t blocks = 0;
  int64_t unmerged_blocks = 0;
  int64_t bytes = 0;
};

// NotFound, for a database that does not exist or no longer does.
absl::Status NoSuchDatabase(std::string_view name);

// A database in its column family.
class RocksDbDatabase : public Database, public std::enable_shared_from_this<RocksDbDatabase> {
 public:
  // Told of the blocks of every commit before their sequences are no longer in flight.
  using Listener = std::function<void(const std::shared_ptr<RocksDbDatabase>& database,
                                      std::span<const StoredBlock> blocks)>;

  // Owns `family`. `partition_ns` never changes in a database's life.
  RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine, rocksdb::ColumnFamilyHandle* family,
                  DatabaseRecord record, int64_t partition_ns, Listener listener);
  ~RocksDbDatabase() override;

  // Reads the schema, and what blocks there are; once, before the first use. Tells the listener of
  // the blocks. DataLoss where some of it cannot be read; see `readable`.
  absl::Status Load();
  // Whether the schema could be read; without it nothing can be done but Drop.
  bool readable() const { return readable_; }
  // What Load said.
  const absl::Status& damage() const { return damage_; }

  DatabaseRecord record() const override;
  std::shared_ptr<const DatabaseSchema> schema() const override;
  absl::Status Commit(const WriteSet& write, Durability durability) override;
  absl::StatusOr<std::shared_ptr<const Snapshot>> TakeSnapshot() const override;

  void SetRecord(DatabaseRecord record);
  // The schema together with what a commit under way is about to add: all that a block has that a
  // snapshot taken before this call may see.
  std::shared_ptr<const DatabaseSchema> SchemaToRead() const;
  int64_t partition_ns() const { return partition_ns_; }
  RocksDbEngine& engine() const { return *engine_; }
  rocksdb::ColumnFamilyHandle* family() const { return family_; }

  // Waits for commits under way and gives up the points. Reads under way go on.
  absl::Status Drop();

  // For the compactor.
  Holdings holdings() const;
  // A partition's blocks, in the order of commits.
  absl::StatusOr<std::vector<StoredBlock>> ListBlocks(uint32_t table, int64_t partition) const;
  // The bytes of a block: the directory, and right behind it the body. NotFound where there is no
  // such block.
  absl::StatusOr<std::string> ReadBlock(const BlockKey& key,
                                        const rocksdb::ReadOptions& options) const;
  // Puts blocks in the place of others, at once. Not synced: until it is, a crash brings back the
  // old ones. NotFound where those have been dropped meanwhile; Unavailable instead of waiting
  // while RocksDB has stopped writes.
  absl::StatusOr<std::vector<StoredBlock>> Replace(std::span<const StoredBlock> before,
                                                   std::span<const BlockKey> keys,
                                                   std::span<const EncodedBlock> after);
  // Deletes the partitions of which every point is before `min_time_ns`, and gives back their disk.
  // Returns how many blocks they had.
  absl::StatusOr<int64_t> DropPartitionsBefore(int64_t min_time_ns);
  // Writes to tables what is in memory. False if that failed; it then stays in the log.
  bool Flush();
  // Does so, and rewrites files of which much is garbage.
  void Settle();

 private:
  // A block of a commit on its way.
  struct NewBlock {
    uint32_t table;
    int64_t partition;
    EncodedBlock bytes;
  };

  absl::Status LoadSchema();
  absl::Status LoadBlocks();
  absl::Status WriteWithSchema(const WriteSet& write, rocksdb::WriteBatch& batch,
                               Durability durability);
  void EncodeBlocks(const TableBatch& rows, std::vector<NewBlock>& blocks) const;
  void Count(const StoredBlock& block, int64_t sign);
  absl::Status WriteUnlessDropped(rocksdb::WriteBatch& batch);
  absl::StatusOr<int64_t> DropRange(const BlockKey& begin, const BlockKey& end);
  void FreeRange(const std::string& begin, const std::string& end);

  const std::shared_ptr<RocksDbEngine> engine_;
  rocksdb::ColumnFamilyHandle* const family_;
  const int64_t partition_ns_;
  const Listener listener_;
  bool readable_ = false;
  absl::Status damage_;
  // Held while blocks are replaced or expire, so that each is counted once.
  std::mutex replace_mutex_;
  std::atomic<int64_t> blocks_ = 0;
  std::atomic<int64_t> unmerged_blocks_ = 0;
  std::atomic<int64_t> bytes_ = 0;

  // Held shared by commits, alone by Drop.
  mutable std::shared_mutex drop_mutex_;
  bool dropped_ = false;

  // Held by a commit that changes the schema, from its check to its publication.
  std::mutex schema_change_mutex_;
  // Guards what is below.
  mutable std::mutex mutex_;
  DatabaseRecord record_;
  std::shared_ptr<const DatabaseSchema> schema_ = std::make_shared<DatabaseSchema>();
  // While a commit that changes the schema is being written, the schema that it makes.
  std::shared_ptr<const DatabaseSchema> next_schema_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_DATABASE_H_

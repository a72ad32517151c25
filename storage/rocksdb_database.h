#ifndef SLUICE_STORAGE_ROCKSDB_DATABASE_H_
#define SLUICE_STORAGE_ROCKSDB_DATABASE_H_

#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/rocksdb_engine.h"
#include "storage/store.h"

namespace sluice::storage {

// How much time a partition of a new database spans.
inline constexpr int64_t kPartitionNs = int64_t{24} * 3600 * 1'000'000'000;

// NotFound, for a database that does not exist or no longer does.
absl::Status NoSuchDatabase(std::string_view name);

// A database in its column family.
class RocksDbDatabase : public Database, public std::enable_shared_from_this<RocksDbDatabase> {
 public:
  // Owns `family`. `partition_ns` never changes in a database's life.
  RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine, rocksdb::ColumnFamilyHandle* family,
                  DatabaseRecord record, int64_t partition_ns);
  ~RocksDbDatabase() override;

  // Reads the schema; once, before the first use.
  absl::Status LoadSchema();

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

 private:
  absl::Status WriteWithSchema(const WriteSet& write, rocksdb::WriteBatch& batch,
                               Durability durability);
  absl::Status AddBlocks(const TableBatch& rows, rocksdb::WriteBatch& batch) const;
  absl::Status AddBlock(const TableBatch& rows, int64_t partition,
                        rocksdb::WriteBatch& batch) const;

  const std::shared_ptr<RocksDbEngine> engine_;
  rocksdb::ColumnFamilyHandle* const family_;
  const int64_t partition_ns_;

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

#include "storage/rocksdb_database.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <numeric>

#include "storage/block.h"
#include "storage/keys.h"
#include "storage/rocksdb_scan.h"
#include "storage/rocksdb_status.h"

namespace sluice::storage {

absl::Status NoSuchDatabase(std::string_view name) {
  return absl::NotFoundError(fmt::format("database \"{}\" not found", name));
}

RocksDbDatabase::RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine,
                                 rocksdb::ColumnFamilyHandle* family, DatabaseRecord record,
                                 int64_t partition_ns)
    : engine_(std::move(engine)),
      family_(family),
      partition_ns_(partition_ns),
      record_(std::move(record)) {}

RocksDbDatabase::~RocksDbDatabase() { engine_->db().DestroyColumnFamilyHandle(family_); }

absl::Status RocksDbDatabase::LoadSchema() {
  std::vector<TablePtr> tables;
  const std::string prefix(1, kSchemaKeyTag);
  std::unique_ptr<rocksdb::Iterator> it(engine_->db().NewIterator(rocksdb::ReadOptions(), family_));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    absl::StatusOr<TableSchema> table = TableSchema::Decode(it->value().ToStringView());
    if (!table.ok()) return table.status();
    tables.push_back(std::make_shared<TableSchema>(*std::move(table)));
  }
  if (!it->status().ok()) return FromRocksDb(it->status(), "cannot read the schema");
  schema_ = std::make_shared<DatabaseSchema>(DatabaseSchema().With(tables));
  return absl::OkStatus();
}

DatabaseRecord RocksDbDatabase::record() const {
  std::lock_guard lock(mutex_);
  return record_;
}

std::shared_ptr<const DatabaseSchema> RocksDbDatabase::schema() const {
  std::lock_guard lock(mutex_);
  return schema_;
}

std::shared_ptr<const DatabaseSchema> RocksDbDatabase::SchemaToRead() const {
  std::lock_guard lock(mutex_);
  return next_schema_ != nullptr ? next_schema_ : schema_;
}

void RocksDbDatabase::SetRecord(DatabaseRecord record) {
  std::lock_guard lock(mutex_);
  record_ = std::move(record);
}

absl::Status RocksDbDatabase::Commit(const WriteSet& write, Durability durability) {
  std::shared_lock not_dropped(drop_mutex_);
  if (dropped_) return NoSuchDatabase(record().name);
  absl::Status writable = engine_->CheckWritable();
  if (!writable.ok()) return writable;
  std::unique_lock schema_change(schema_change_mutex_, std::defer_lock);
  if (!write.changed_tables.empty()) {
    schema_change.lock();
    if (schema()->version() != write.schema_version) {
      return absl::AbortedError("the schema has changed");
    }
  }
  rocksdb::WriteBatch batch;
  for (const TablePtr& table : write.changed_tables) {
    batch.Put(family_, SchemaKey(table->id()), table->Encode());
  }
  for (const TableBatch& rows : write.batches) {
    absl::Status added = AddBlocks(rows, batch);
    if (!added.ok()) return added;
  }
  if (write.changed_tables.empty()) return engine_->Write(batch, durability);
  return WriteWithSchema(write, batch, durability);
}

// Readers know the new columns before the first block that has them can be seen; writers only when
// the write has succeeded.
absl::Status RocksDbDatabase::WriteWithSchema(const WriteSet& write, rocksdb::WriteBatch& batch,
                                              Durability durability) {
  auto next = std::make_shared<const DatabaseSchema>(schema()->With(write.changed_tables));
  {
    std::lock_guard lock(mutex_);
    next_schema_ = next;
  }
  absl::Status written = engine_->Write(batch, durability);
  std::lock_guard lock(mutex_);
  next_schema_.reset();
  if (written.ok()) schema_ = std::move(next);
  return written;
}

// One block for each partition that the rows fall into, several where they are too many for one.
absl::Status RocksDbDatabase::AddBlocks(const TableBatch& rows, rocksdb::WriteBatch& batch) const {
  if (rows.row_count() == 0) return absl::OkStatus();
  const std::vector<int64_t>& times = rows.timestamps();
  auto [min, max] = std::minmax_element(times.begin(), times.end());
  int64_t first = PartitionOf(*min, partition_ns_);
  if (first == PartitionOf(*max, partition_ns_) && rows.row_count() <= kMaxBlockRows) {
    return AddBlock(rows, first, batch);
  }
  std::vector<uint32_t> order(rows.row_count());
  std::iota(order.begin(), order.end(), 0);
  auto partition = [&](uint32_t row) { return PartitionOf(times[row], partition_ns_); };
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return partition(a) < partition(b); });
  RowIndex index(rows);
  TableBatch part(rows.table());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && end - begin < kMaxBlockRows &&
           partition(order[end]) == partition(order[begin])) {
      ++end;
    }
    part.Clear();
    index.CopyRows(std::span(order).subspan(begin, end - begin), part);
    absl::Status added = AddBlock(part, partition(order[begin]), batch);
    if (!added.ok()) return added;
    begin = end;
  }
  return absl::OkStatus();
}

absl::Status RocksDbDatabase::AddBlock(const TableBatch& rows, int64_t partition,
                                       rocksdb::WriteBatch& batch) const {
  absl::StatusOr<uint64_t> sequence = engine_->ReserveSequences(1);
  if (!sequence.ok()) return sequence.status();
  std::string key = Encode(BlockKey{rows.table()->id(), partition, *sequence});
  return FromRocksDb(batch.Put(family_, key, EncodeBlock(rows)), "cannot add a block");
}

absl::StatusOr<std::shared_ptr<const Snapshot>> RocksDbDatabase::TakeSnapshot() const {
  {
    std::shared_lock lock(drop_mutex_);
    if (dropped_) return NoSuchDatabase(record().name);
  }
  return MakeSnapshot(shared_from_this());
}

absl::Status RocksDbDatabase::Drop() {
  std::unique_lock lock(drop_mutex_);
  dropped_ = true;
  return FromRocksDb(engine_->db().DropColumnFamily(family_), "cannot drop the column family");
}

}  // namespace sluice::storage

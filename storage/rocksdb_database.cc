#include "storage/rocksdb_database.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>

#include "storage/block_encoder.h"
#include "storage/keys.h"
#include "storage/rocksdb_scan.h"
#include "storage/rocksdb_status.h"

namespace sluice::storage {
namespace {

// Bodies up to here stand behind their directories. Larger ones have a key of their own, so that
// what passes a block over does not read them.
constexpr size_t kMaxInlineBytes = 4096;
// Less garbage than this, beside a quarter of what is live, is left to RocksDB's own compaction.
constexpr uint64_t kWorthwhileGarbageBytes = uint64_t{4} << 20;
// A database with larger files is not rewritten as a whole.
constexpr uint64_t kMaxSettleBytes = uint64_t{4} << 30;

StoredBlock Describe(const BlockKey& key, const Block& block, size_t directory_bytes) {
  return {.key = key,
          .rows = block.row_count(),
          .decoded_bytes = block.decoded_bytes(),
          .stored_bytes = directory_bytes + block.body_size(),
          .has_own_body = block.body_size() > kMaxInlineBytes};
}

StoredBlock PutBlock(const BlockKey& key, const EncodedBlock& block,
                     rocksdb::ColumnFamilyHandle* family, rocksdb::WriteBatch& batch) {
  const bool has_own_body = block.body.size() > kMaxInlineBytes;
  const std::string key_bytes = Encode(key);
  const rocksdb::Slice key_part(key_bytes);
  const rocksdb::Slice value_parts[] = {block.directory, block.body};
  batch.Put(family, rocksdb::SliceParts(&key_part, 1),
            rocksdb::SliceParts(value_parts, has_own_body ? 1 : 2));
  if (has_own_body) batch.Put(family, BodyKey(key), block.body);
  return {.key = key,
          .rows = block.row_count,
          .decoded_bytes = block.decoded_bytes,
          .stored_bytes = block.directory.size() + block.body.size(),
          .has_own_body = has_own_body};
}

// Calls `visit` with each block from `key` on, until it returns false. One that is damaged is no
// reason to stop: its neighbours are not.
absl::Status EachBlock(RocksDbEngine& engine, rocksdb::ColumnFamilyHandle* family,
                       const std::string& key, const std::function<bool(StoredBlock)>& visit) {
  std::unique_ptr<rocksdb::Iterator> it(engine.db().NewIterator(rocksdb::ReadOptions(), family));
  for (it->Seek(key); it->Valid(); it->Next()) {
    std::optional<BlockKey> block_key = DecodeBlockKey(it->key().ToStringView());
    if (!block_key) break;
    const size_t size = it->value().size();
    absl::StatusOr<Block> block = Block::Open(it->value().ToStringView());
    StoredBlock stored{.key = *block_key, .stored_bytes = size, .damaged = !block.ok()};
    if (block.ok()) {
      stored = Describe(*block_key, *block, size - (block->has_body() ? block->body_size() : 0));
      stored.has_own_body = !block->has_body();
    }
    if (!visit(stored)) break;
  }
  return FromRocksDb(it->status(), "cannot read blocks");
}

}  // namespace

absl::Status NoSuchDatabase(std::string_view name) {
  return absl::NotFoundError(fmt::format("database \"{}\" not found", name));
}

RocksDbDatabase::RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine,
                                 rocksdb::ColumnFamilyHandle* family, DatabaseRecord record,
                                 int64_t partition_ns, Listener listener)
    : engine_(std::move(engine)),
      family_(family),
      partition_ns_(partition_ns),
      listener_(std::move(listener)),
      record_(std::move(record)) {}

RocksDbDatabase::~RocksDbDatabase() { engine_->db().DestroyColumnFamilyHandle(family_); }

absl::Status RocksDbDatabase::Load() {
  damage_ = LoadSchema();
  readable_ = damage_.ok();
  if (readable_) damage_ = LoadBlocks();
  return damage_;
}

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
  std::vector<NewBlock> blocks;
  for (const TableBatch& rows : write.batches) EncodeBlocks(rows, blocks);
  absl::StatusOr<RocksDbEngine::Reservation> sequences = engine_->ReserveSequences(blocks.size());
  if (!sequences.ok()) return sequences.status();
  rocksdb::WriteBatch batch;
  for (const TablePtr& table : write.changed_tables) {
    batch.Put(family_, SchemaKey(table->id()), table->Encode());
  }
  std::vector<StoredBlock> stored;
  for (size_t i = 0; i < blocks.size(); ++i) {
    BlockKey key{blocks[i].table, blocks[i].partition, sequences->first() + i, 0};
    stored.push_back(PutBlock(key, blocks[i].bytes, family_, batch));
  }
  absl::Status written = write.changed_tables.empty() ? engine_->Write(batch, durability)
                                                      : WriteWithSchema(write, batch, durability);
  if (!written.ok()) return written;
  for (const StoredBlock& block : stored) Count(block, 1);
  listener_(shared_from_this(), stored);
  return absl::OkStatus();
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
void RocksDbDatabase::EncodeBlocks(const TableBatch& rows, std::vector<NewBlock>& blocks) const {
  if (rows.row_count() == 0) return;
  const std::vector<int64_t>& times = rows.timestamps();
  auto [min, max] = std::minmax_element(times.begin(), times.end());
  int64_t first = PartitionOf(*min, partition_ns_);
  if (first == PartitionOf(*max, partition_ns_) && rows.row_count() <= kMaxBlockRows) {
    blocks.push_back({rows.table()->id(), first, EncodeBlock(rows)});
    return;
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
    blocks.push_back({rows.table()->id(), partition(order[begin]), EncodeBlock(part)});
    begin = end;
  }
}

absl::StatusOr<std::shared_ptr<const Snapshot>> RocksDbDatabase::TakeSnapshot() const {
  {
    std::shared_lock lock(drop_mutex_);
    if (dropped_) return NoSuchDatabase(record().name);
  }
  std::shared_ptr<const Snapshot> snapshot = MakeSnapshot(shared_from_this());
  absl::Status readable = engine_->CheckReadable();
  if (!readable.ok()) return readable;
  return snapshot;
}

absl::Status RocksDbDatabase::Drop() {
  std::unique_lock lock(drop_mutex_);
  dropped_ = true;
  return FromRocksDb(engine_->db().DropColumnFamily(family_), "cannot drop the column family");
}

Holdings RocksDbDatabase::holdings() const { return {blocks_, unmerged_blocks_, bytes_}; }

void RocksDbDatabase::Count(const StoredBlock& block, int64_t sign) {
  blocks_ += sign;
  if (block.key.run == 0) unmerged_blocks_ += sign;
  bytes_ += sign * static_cast<int64_t>(block.stored_bytes);
}

absl::Status RocksDbDatabase::LoadBlocks() {
  std::vector<StoredBlock> blocks;
  uint64_t last_sequence = 0;
  absl::Status read = EachBlock(*engine_, family_, Encode(BlockKey{}), [&](StoredBlock block) {
    Count(block, 1);
    last_sequence = std::max({last_sequence, block.key.sequence, block.key.run});
    if (block.key.run == 0) blocks.push_back(block);
    return true;
  });
  engine_->NoteSequence(last_sequence);
  listener_(shared_from_this(), blocks);
  return read;
}

absl::StatusOr<std::vector<StoredBlock>> RocksDbDatabase::ListBlocks(uint32_t table,
                                                                     int64_t partition) const {
  std::vector<StoredBlock> blocks;
  absl::Status read =
      EachBlock(*engine_, family_, Encode(BlockKey{table, partition}), [&](StoredBlock block) {
        if (block.key.table != table || block.key.partition != partition) return false;
        blocks.push_back(block);
        return true;
      });
  if (!read.ok()) return read;
  return blocks;
}

absl::StatusOr<std::string> RocksDbDatabase::ReadBlock(const BlockKey& key,
                                                       const rocksdb::ReadOptions& options) const {
  std::string bytes;
  rocksdb::Status got = engine_->db().Get(options, family_, Encode(key), &bytes);
  if (got.IsNotFound()) return absl::NotFoundError("there is no such block");
  if (!got.ok()) return FromRocksDb(got, "cannot read a block");
  absl::StatusOr<Block> block = Block::Open(bytes);
  if (!block.ok() || block->has_body()) return bytes;
  rocksdb::PinnableSlice body;
  got = engine_->db().Get(options, family_, BodyKey(key), &body);
  if (got.IsNotFound()) {
    // Both go at once, but the two were not read at once.
    if (engine_->db().Get(options, family_, Encode(key), &bytes).IsNotFound()) {
      return absl::NotFoundError("there is no such block");
    }
    return absl::DataLossError("damaged block: its body is gone");
  }
  if (!got.ok()) return FromRocksDb(got, "cannot read the body of a block");
  return bytes.append(body.data(), body.size());
}

absl::Status RocksDbDatabase::WriteUnlessDropped(rocksdb::WriteBatch& batch) {
  std::shared_lock not_dropped(drop_mutex_);
  if (dropped_) return NoSuchDatabase(record().name);
  return engine_->WriteWithoutWaiting(batch);
}

absl::StatusOr<std::vector<StoredBlock>> RocksDbDatabase::Replace(
    std::span<const StoredBlock> before, std::span<const BlockKey> keys,
    std::span<const EncodedBlock> after) {
  rocksdb::WriteBatch batch;
  std::vector<StoredBlock> stored;
  for (size_t i = 0; i < after.size(); ++i) {
    stored.push_back(PutBlock(keys[i], after[i], family_, batch));
  }
  // Every key is put once: then a single deletion is enough, and both vanish when they meet, mostly
  // before they reach the disk.
  for (const StoredBlock& block : before) {
    batch.SingleDelete(family_, Encode(block.key));
    if (block.has_own_body) batch.SingleDelete(family_, BodyKey(block.key));
  }
  std::lock_guard replacing(replace_mutex_);
  rocksdb::PinnableSlice ignored;
  const rocksdb::Status got =
      engine_->db().Get(rocksdb::ReadOptions(), family_, Encode(before.front().key), &ignored);
  if (got.IsNotFound()) return absl::NotFoundError("the blocks have expired");
  absl::Status written = WriteUnlessDropped(batch);
  if (!written.ok()) return written;
  for (const StoredBlock& block : before) Count(block, -1);
  for (const StoredBlock& block : stored) Count(block, 1);
  return stored;
}

// Takes the files of a range that was deleted apart, so that the disk is free.
void RocksDbDatabase::FreeRange(const std::string& begin, const std::string& end) {
  const rocksdb::Slice first(begin);
  const rocksdb::Slice last(end);
  engine_->Compact(family_, &first, &last);
}

absl::StatusOr<int64_t> RocksDbDatabase::DropPartitionsBefore(int64_t min_time_ns) {
  // The partition that `min_time_ns` falls into still has points to keep.
  const int64_t first_kept = PartitionOf(min_time_ns, partition_ns_);
  int64_t dropped = 0;
  for (const TablePtr& table : schema()->Tables()) {
    const BlockKey begin{table->id(), std::numeric_limits<int64_t>::min(), 0, 0};
    const BlockKey end{table->id(), first_kept, 0, 0};
    absl::StatusOr<int64_t> blocks = DropRange(begin, end);
    if (!blocks.ok()) return blocks;
    if (*blocks == 0) continue;
    dropped += *blocks;
    FreeRange(Encode(begin), Encode(end));
    FreeRange(BodyKey(begin), BodyKey(end));
  }
  return dropped;
}

// Deletes the blocks from `begin` to before `end`, and returns how many there were.
absl::StatusOr<int64_t> RocksDbDatabase::DropRange(const BlockKey& begin, const BlockKey& end) {
  std::lock_guard replacing(replace_mutex_);
  std::vector<StoredBlock> blocks;
  absl::Status read = EachBlock(*engine_, family_, Encode(begin), [&](StoredBlock block) {
    if (block.key >= end) return false;
    blocks.push_back(block);
    return true;
  });
  if (!read.ok()) return read;
  if (blocks.empty()) return 0;
  rocksdb::WriteBatch batch;
  batch.DeleteRange(family_, Encode(begin), Encode(end));
  batch.DeleteRange(family_, BodyKey(begin), BodyKey(end));
  absl::Status written = WriteUnlessDropped(batch);
  if (!written.ok()) return written;
  for (const StoredBlock& block : blocks) Count(block, -1);
  return static_cast<int64_t>(blocks.size());
}

bool RocksDbDatabase::Flush() { return engine_->db().Flush(rocksdb::FlushOptions(), family_).ok(); }

void RocksDbDatabase::Settle() {
  if (!Flush()) return;
  rocksdb::DB& db = engine_->db();
  uint64_t file_bytes = 0;
  db.GetIntProperty(family_, rocksdb::DB::Properties::kTotalSstFilesSize, &file_bytes);
  const uint64_t live_bytes = static_cast<uint64_t>(std::max<int64_t>(bytes_, 0));
  if (file_bytes < live_bytes + live_bytes / 4 + kWorthwhileGarbageBytes) return;
  if (file_bytes <= kMaxSettleBytes) engine_->Compact(family_, nullptr, nullptr);
}

}  // namespace sluice::storage

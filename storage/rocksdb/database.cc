#include "storage/rocksdb/database.h"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "storage/reason.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/mark.h"
#include "storage/rocksdb/put_block.h"
#include "storage/rocksdb/scan.h"
#include "storage/rocksdb/status.h"
#include "storage/timestamp.h"

namespace sluice::storage {
namespace {

// Less garbage than this, beside a quarter of what is live, is left to RocksDB's own compaction.
constexpr uint64_t kWorthwhileGarbageBytes = uint64_t{4} << 20;
// A database with larger files is not rewritten as a whole.
constexpr uint64_t kMaxSettleBytes = uint64_t{4} << 30;
// At once, while no commit goes on.
constexpr size_t kMaxForgottenMarks = 1000;

// What is stored under a key; damaged where its directory cannot be read.
StoredBlock Describe(const BlockKey& key, std::string_view value) {
  absl::StatusOr<Block> block = Block::Open(value);
  if (!block.ok()) return {.key = key, .stored_bytes = value.size(), .damaged = true};
  const bool has_own_body = !block->has_body();
  return {.key = key,
          .rows = block->row_count(),
          .decoded_bytes = block->decoded_bytes(),
          .stored_bytes = value.size() + (has_own_body ? block->body_size() : 0),
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
    if (!visit(Describe(*block_key, it->value().ToStringView()))) break;
  }
  return FromRocksDb(it->status(), "cannot read blocks");
}

}  // namespace

absl::Status NoSuchDatabase(std::string_view name) {
  return WithReason(absl::NotFoundError(fmt::format("database \"{}\" not found", name)),
                    "DATABASE_NOT_FOUND", {{"database", std::string(name)}});
}

RocksDbDatabase::RocksDbDatabase(std::shared_ptr<RocksDbEngine> engine,
                                 std::shared_ptr<Committer> committer,
                                 rocksdb::ColumnFamilyHandle* family, DatabaseRecord record,
                                 int64_t partition_ns)
    : engine_(std::move(engine)),
      committer_(std::move(committer)),
      family_(family),
      id_(record.id),
      partition_ns_(partition_ns),
      view_{std::make_shared<const DatabaseRecord>(std::move(record)),
            std::make_shared<const DatabaseSchema>()} {}

RocksDbDatabase::~RocksDbDatabase() { engine_->db().DestroyColumnFamilyHandle(family_); }

absl::Status RocksDbDatabase::Load(std::vector<Unmerged>& unmerged) {
  damage_ = LoadSchema();
  readable_ = damage_.ok();
  if (readable_) damage_ = LoadBlocks(unmerged);
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
  view_.schema = std::make_shared<const DatabaseSchema>(DatabaseSchema().With(tables));
  return absl::OkStatus();
}

DatabaseView RocksDbDatabase::LastView() const {
  std::lock_guard lock(mutex_);
  return view_;
}

std::shared_ptr<const DatabaseSchema> RocksDbDatabase::SchemaToRead() const {
  std::lock_guard lock(mutex_);
  return next_schema_ != nullptr ? next_schema_ : view_.schema;
}

void RocksDbDatabase::SetRecord(DatabaseRecord record) {
  auto shared = std::make_shared<const DatabaseRecord>(std::move(record));
  std::lock_guard lock(mutex_);
  view_.record = std::move(shared);
}

void RocksDbDatabase::SetNextSchema(std::shared_ptr<const DatabaseSchema> next) {
  std::lock_guard lock(mutex_);
  next_schema_ = std::move(next);
}

void RocksDbDatabase::PublishNextSchema() {
  std::lock_guard lock(mutex_);
  if (next_schema_ != nullptr) view_.schema = std::exchange(next_schema_, nullptr);
}

void RocksDbDatabase::Commit(WriteSet write, Durability durability, CommitDone done) {
  committer_->Commit(shared_from_this(), std::move(write), durability, std::move(done));
}

absl::StatusOr<std::shared_ptr<const Snapshot>> RocksDbDatabase::TakeSnapshot() const {
  {
    std::shared_lock lock(drop_mutex_);
    if (dropped_) return NoSuchDatabase(LastView().record->name);
  }
  std::shared_ptr<const Snapshot> snapshot = MakeSnapshot(shared_from_this());
  absl::Status readable = engine_->CheckReadable();
  if (!readable.ok()) return readable;
  return snapshot;
}

absl::StatusOr<std::optional<int64_t>> RocksDbDatabase::FindMark(const std::string& writer) const {
  std::string bytes;
  const rocksdb::Status got =
      engine_->db().Get(rocksdb::ReadOptions(), family_, MarkKey(writer), &bytes);
  if (got.IsNotFound()) return std::nullopt;
  if (!got.ok()) return FromRocksDb(got, "cannot read how far a writer has come");
  // A disk that has failed may show what is not on it.
  absl::Status readable = engine_->CheckReadable();
  if (!readable.ok()) return readable;
  const absl::StatusOr<Mark> mark = DecodeMark(bytes);
  if (!mark.ok()) return mark.status();
  return mark->sequence;
}

absl::Status RocksDbDatabase::ForgetMarks() {
  const int64_t first_kept_ns = NowNs() - kMarkLifeNs;
  const auto is_old = [first_kept_ns](const rocksdb::Slice& bytes) {
    const absl::StatusOr<Mark> mark = DecodeMark(bytes.ToStringView());
    return !mark.ok() || mark->time_ns < first_kept_ns;
  };
  const std::string prefix(1, kMarkKeyTag);
  std::vector<std::string> old_keys;
  std::unique_ptr<rocksdb::Iterator> it(engine_->db().NewIterator(rocksdb::ReadOptions(), family_));
  for (it->Seek(prefix); it->Valid() && it->key().starts_with(prefix); it->Next()) {
    if (is_old(it->value())) old_keys.push_back(it->key().ToString());
    if (old_keys.size() == kMaxForgottenMarks) break;
  }
  if (!it->status().ok()) return FromRocksDb(it->status(), "cannot read how far writers have come");
  if (old_keys.empty()) return absl::OkStatus();
  // A writer may come back at this very moment: no commit is under way while they are read again.
  std::unique_lock no_commit(drop_mutex_);
  if (dropped_) return NoSuchDatabase(LastView().record->name);
  rocksdb::WriteBatch batch;
  for (const std::string& key : old_keys) {
    std::string bytes;
    const rocksdb::Status read = engine_->db().Get(rocksdb::ReadOptions(), family_, key, &bytes);
    if (read.ok() && is_old(bytes)) batch.Delete(family_, key);
  }
  return engine_->WriteWithoutWaiting(batch);
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

absl::Status RocksDbDatabase::LoadBlocks(std::vector<Unmerged>& unmerged) {
  uint64_t last_sequence = 0;
  Unmerged current{};
  // There may be very many partitions of one block, which need nothing.
  const auto end_partition = [&] {
    if (current.blocks > 1) unmerged.push_back(current);
  };
  absl::Status read = EachBlock(*engine_, family_, Encode(BlockKey{}), [&](StoredBlock block) {
    Count(block, 1);
    last_sequence = std::max({last_sequence, block.key.sequence, block.key.run});
    if (block.key.table != current.table || block.key.partition != current.partition) {
      end_partition();
      current = {block.key.table, block.key.partition, 0};
    }
    current.blocks += block.key.run == 0 ? 1 : 0;
    return true;
  });
  end_partition();
  engine_->NoteSequence(last_sequence);
  return read;
}

int64_t RocksDbDatabase::MinTimeNs() const { return LastView().record->MinTimeNs(NowNs()); }

absl::Status RocksDbDatabase::ListNewestFirst(
    uint32_t table, int64_t partition, uint64_t before_sequence,
    const std::function<bool(const StoredBlock&)>& visit) const {
  std::unique_ptr<rocksdb::Iterator> it(engine_->db().NewIterator(rocksdb::ReadOptions(), family_));
  const std::string end = Encode(BlockKey{table, partition, before_sequence, 0});
  for (it->SeekForPrev(end); it->Valid(); it->Prev()) {
    const std::optional<BlockKey> key = DecodeBlockKey(it->key().ToStringView());
    if (!key || key->table != table || key->partition != partition) break;
    if (key->sequence >= before_sequence) continue;
    if (!visit(Describe(*key, it->value().ToStringView()))) break;
  }
  return FromRocksDb(it->status(), "cannot read blocks");
}

absl::StatusOr<std::string> RocksDbDatabase::ReadForMerge(const BlockKey& key) const {
  rocksdb::ReadOptions options;
  // What is about to be deleted is not worth a place in the cache.
  options.fill_cache = false;
  return ReadBlock(key, options);
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
  if (dropped_) return NoSuchDatabase(LastView().record->name);
  return engine_->WriteWithoutWaiting(batch);
}

absl::StatusOr<std::vector<StoredBlock>> RocksDbDatabase::Replace(
    std::span<const StoredBlock> before, std::span<const EncodedBlock> after) {
  // The run's own number is one that no block has.
  absl::StatusOr<uint64_t> run = engine_->ReserveSequences(1);
  if (!run.ok()) return run.status();
  rocksdb::WriteBatch batch;
  std::vector<StoredBlock> stored;
  for (size_t i = 0; i < after.size(); ++i) {
    BlockKey key = before[before.size() - after.size() + i].key;
    key.run = *run;
    stored.push_back(PutBlock(key, after[i], family_, batch));
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

absl::StatusOr<int64_t> RocksDbDatabase::DropExpiredPartitions() {
  // The partition that it falls into still has points to keep.
  const int64_t first_kept = PartitionOf(MinTimeNs(), partition_ns_);
  int64_t dropped = 0;
  for (const TablePtr& table : LastView().schema->Tables()) {
    // At a partition that never has blocks, see RocksDbEngine's memtable hints.
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

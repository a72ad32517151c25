#include "storage/rocksdb/scan.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "storage/block/block.h"
#include "storage/block/sweep.h"
#include "storage/rocksdb/keys.h"
#include "storage/rocksdb/status.h"
#include "storage/timestamp.h"

namespace sluice::storage {
namespace {

// Small blocks found while a partition is searched are kept up to here; beyond, and large ones, are
// read when the merge reaches them.
constexpr size_t kMaxKeptBytes = size_t{64} << 20;

class RocksDbSnapshot;

// Goes from partition to partition; within one, picks the blocks that may hold wanted rows and
// merges them.
class RocksDbScan : public Scan {
 public:
  RocksDbScan(const RocksDbSnapshot& snapshot, ScanSpec spec);
  ~RocksDbScan() override { ForgetKept(); }

  absl::Status Next(ScanRows& rows) override;

 private:
  absl::Status ReadNext(ScanRows& rows);
  absl::Status OpenPartition();
  absl::Status Consider(const BlockKey& key, std::vector<BlockRef>& blocks);
  absl::StatusOr<std::string> Load(int64_t partition, const BlockRef& ref);
  absl::Status Damaged(const BlockKey& key, const absl::Status& status) const;
  void ForgetKept();
  bool Charge(size_t bytes) { return !spec_.charge || spec_.charge(static_cast<int64_t>(bytes)); }
  void Uncharge(size_t bytes) {
    if (spec_.charge) spec_.charge(-static_cast<int64_t>(bytes));
  }

  const RocksDbSnapshot& snapshot_;
  const ScanSpec spec_;
  // The same, as blocks are asked for it.
  BlockFilter filter_;
  std::unique_ptr<rocksdb::Iterator> it_;
  // The partitions that the time range touches.
  int64_t next_partition_;
  int64_t last_partition_;
  bool at_end_ = false;
  // By sequence and run.
  std::map<std::pair<uint64_t, uint64_t>, std::string> kept_;
  size_t kept_bytes_ = 0;
  std::optional<Sweep> merge_;
};

class RocksDbSnapshot : public Snapshot {
 public:
  explicit RocksDbSnapshot(std::shared_ptr<const RocksDbDatabase> database)
      : database_(std::move(database)),
        record_(database_->LastView().record),
        snapshot_(database_->engine().db().GetSnapshot()),
        // After the snapshot: every column of a visible block is in the schema.
        schema_(database_->SchemaToRead()) {}
  ~RocksDbSnapshot() override { database_->engine().db().ReleaseSnapshot(snapshot_); }

  const DatabaseRecord& record() const override { return *record_; }
  const DatabaseSchema& schema() const override { return *schema_; }
  absl::StatusOr<std::unique_ptr<Scan>> Read(ScanSpec spec) const override {
    return std::make_unique<RocksDbScan>(*this, std::move(spec));
  }

  const RocksDbDatabase& database() const { return *database_; }
  rocksdb::ReadOptions ReadOptions() const {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot_;
    return options;
  }

 private:
  const std::shared_ptr<const RocksDbDatabase> database_;
  const std::shared_ptr<const DatabaseRecord> record_;
  const rocksdb::Snapshot* const snapshot_;
  const std::shared_ptr<const DatabaseSchema> schema_;
};

RocksDbScan::RocksDbScan(const RocksDbSnapshot& snapshot, ScanSpec spec)
    : snapshot_(snapshot),
      spec_(std::move(spec)),
      it_(snapshot.database().engine().db().NewIterator(snapshot.ReadOptions(),
                                                        snapshot.database().family())),
      next_partition_(PartitionOf(spec_.min_time_ns, snapshot.database().partition_ns())),
      last_partition_(PartitionOf(spec_.max_time_ns, snapshot.database().partition_ns())) {
  filter_ = {spec_.min_time_ns, spec_.max_time_ns, {}};
  for (const TagEquals& tag : spec_.tags) filter_.tags.emplace_back(tag.column, tag.value);
}

absl::Status RocksDbScan::Next(ScanRows& rows) {
  const absl::Status read = ReadNext(rows);
  if (absl::IsDataLoss(read)) snapshot_.database().engine().NoteDamage();
  return read;
}

absl::Status RocksDbScan::ReadNext(ScanRows& rows) {
  rows.Clear();
  while (!at_end_) {
    if (!merge_) {
      absl::Status opened = OpenPartition();
      if (!opened.ok()) return opened;
      continue;
    }
    absl::Status merged = merge_->Next(rows);
    if (!merged.ok() || !rows.timestamps.empty()) return merged;
    merge_.reset();
  }
  return absl::OkStatus();
}

// Finds the next partition that has blocks, and starts its merge; or the end.
absl::Status RocksDbScan::OpenPartition() {
  if (next_partition_ > last_partition_) {
    at_end_ = true;
    return absl::OkStatus();
  }
  it_->Seek(Encode(BlockKey{spec_.table->id(), next_partition_, 0, 0}));
  std::optional<BlockKey> key;
  if (it_->Valid()) key = DecodeBlockKey(it_->key().ToStringView());
  if (!key || key->table != spec_.table->id() || key->partition > last_partition_) {
    at_end_ = true;
    return FromRocksDb(it_->status(), "cannot read blocks");
  }
  const int64_t partition = key->partition;
  ForgetKept();
  std::vector<BlockRef> blocks;
  while (key && key->table == spec_.table->id() && key->partition == partition) {
    if (spec_.should_stop && spec_.should_stop()) {
      return absl::CancelledError("the scan was stopped");
    }
    absl::Status considered = Consider(*key, blocks);
    if (!considered.ok()) return considered;
    it_->Next();
    key = it_->Valid() ? DecodeBlockKey(it_->key().ToStringView()) : std::nullopt;
  }
  if (!it_->status().ok()) return FromRocksDb(it_->status(), "cannot read blocks");
  next_partition_ = partition + 1;
  merge_.emplace(spec_, std::move(blocks),
                 [this, partition](const BlockRef& ref) { return Load(partition, ref); });
  return absl::OkStatus();
}

absl::Status RocksDbScan::Consider(const BlockKey& key, std::vector<BlockRef>& blocks) {
  absl::StatusOr<std::optional<Block>> block =
      Block::OpenIfMatches(it_->value().ToStringView(), filter_);
  if (!block.ok()) return Damaged(key, block.status());
  if (!*block) return absl::OkStatus();
  blocks.push_back(BlockRef::Of(key.sequence, key.run, **block, *spec_.table));
  const size_t size = it_->value().size();
  if ((*block)->has_body() && kept_bytes_ + size <= kMaxKeptBytes && Charge(size)) {
    kept_bytes_ += size;
    kept_.emplace(std::pair(key.sequence, key.run), it_->value().ToString());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> RocksDbScan::Load(int64_t partition, const BlockRef& ref) {
  auto kept = kept_.extract({ref.sequence, ref.run});
  if (!kept.empty()) {
    Uncharge(kept.mapped().size());
    return std::move(kept.mapped());
  }
  const BlockKey key = {spec_.table->id(), partition, ref.sequence, ref.run};
  auto read = snapshot_.database().ReadBlock(key, snapshot_.ReadOptions());
  return read.ok() ? std::move(read) : Damaged(key, read.status());
}

void RocksDbScan::ForgetKept() {
  for (const auto& [key, bytes] : kept_) Uncharge(bytes.size());
  kept_.clear();
  kept_bytes_ = 0;
}

absl::Status RocksDbScan::Damaged(const BlockKey& key, const absl::Status& status) const {
  return absl::Status(
      status.code(),
      fmt::format("table '{}', the day from {}, block {}: {}", spec_.table->name(),
                  FormatTimestamp(key.partition * snapshot_.database().partition_ns()),
                  key.sequence, std::string(status.message())));
}

}  // namespace

std::shared_ptr<const Snapshot> MakeSnapshot(std::shared_ptr<const RocksDbDatabase> database) {
  return std::make_shared<RocksDbSnapshot>(std::move(database));
}

}  // namespace sluice::storage

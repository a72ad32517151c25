#include "storage/rocksdb_compactor.h"

#include <sys/resource.h>

#include <algorithm>
#include <utility>

#include "storage/caught.h"
#include "storage/compaction.h"
#include "storage/timestamp.h"

namespace sluice::storage {
namespace {

// While points keep coming, a row is merged as few times as can be; when a partition has been quiet
// for a while, until few runs are left of it.
constexpr size_t kBusyRatio = 16;
constexpr size_t kQuietRatio = 2;
// So many new blocks of a partition are worth a look.
constexpr size_t kReadyBlocks = 2 * kBusyRatio;
constexpr std::chrono::milliseconds kPeriod(200);
// After a merge that could not be written.
constexpr std::chrono::milliseconds kRetryAfter(10'000);
// After memory could not be had.
constexpr std::chrono::milliseconds kCatchBreath(1'000);
// A log of less than this may stay as it is.
constexpr uint64_t kWorthwhileFlushBytes = uint64_t{8} << 20;
// One step down in priority for each: a merge gets about a fifth of what a busy writer gets where
// they share a core.
constexpr int kNice = 7;

}  // namespace

RocksDbCompactor::RocksDbCompactor(std::shared_ptr<RocksDbEngine> engine,
                                   const CompactionOptions& options)
    : engine_(std::move(engine)),
      options_(options),
      last_added_(Clock::now()),
      next_expiry_(Clock::now() + options.expiry_period) {
  for (size_t i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Loop(stop); });
  }
}

void RocksDbCompactor::Stop() {
  engine_->CancelCompactions();
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void RocksDbCompactor::Watch(const std::shared_ptr<RocksDbDatabase>& database) {
  std::lock_guard lock(mutex_);
  std::erase_if(databases_, [](const auto& known) { return known.expired(); });
  databases_.push_back(database);
}

void RocksDbCompactor::Added(const std::shared_ptr<RocksDbDatabase>& database,
                             std::span<const StoredBlock> blocks) {
  if (blocks.empty()) return;
  const uint32_t database_id = database->record().id;
  const Clock::time_point now = Clock::now();
  std::lock_guard lock(mutex_);
  last_added_ = now;
  at_rest_ = false;
  for (const StoredBlock& block : blocks) {
    const PartitionId id(database_id, block.key.table, block.key.partition);
    auto [found, is_new] = partitions_.try_emplace(id);
    Partition& partition = found->second;
    if (is_new) {
      partition.database = database;
      watched_.emplace(now + options_.quiet, id);
    }
    partition.last_added = now;
    partition.blocks.emplace(block.key, block);
    ++partition.new_blocks;
    MakeReady(id, partition);
  }
}

void RocksDbCompactor::Dropped() {
  std::lock_guard lock(mutex_);
  log_is_to_be_freed_ = true;
  wake_.notify_one();
}

void RocksDbCompactor::MakeReady(const PartitionId& id, Partition& partition) {
  if (partition.new_blocks < kReadyBlocks || partition.ready || partition.busy) return;
  partition.ready = true;
  ready_.push_back(id);
  wake_.notify_one();
}

CompactionStats RocksDbCompactor::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void RocksDbCompactor::Loop(std::stop_token stop) {
  setpriority(PRIO_PROCESS, 0, kNice);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const absl::StatusOr<bool> did_something =
        Caught([&]() -> absl::StatusOr<bool> { return Step(lock, stop); });
    if (did_something.ok() && *did_something) continue;
    if (did_something.ok()) {
      const bool can_write = engine_->CheckWritable().ok();
      wake_.wait_for(lock, stop, kPeriod, [&] { return can_write && !ready_.empty(); });
      continue;
    }
    if (!lock.owns_lock()) lock.lock();
    ++stats_.failures;
    wake_.wait_for(lock, stop, kCatchBreath, [] { return false; });
  }
}

bool RocksDbCompactor::Step(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  if (ExpireIfDue(lock) || FreeLogIfDue(lock)) return true;
  // Merging writes before it frees anything.
  return engine_->CheckWritable().ok() && (WorkOnOne(lock, stop) || RestIfQuiet(lock));
}

// False if there is nothing to do now. Partitions that are written to and quiet ones take turns.
bool RocksDbCompactor::WorkOnOne(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  const Clock::time_point now = Clock::now();
  const bool watched_due = !watched_.empty() && watched_.begin()->first <= now;
  if (!ready_.empty() && (!watched_due || !ready_was_last_)) {
    ready_was_last_ = true;
    const PartitionId id = ready_.front();
    ready_.pop_front();
    Work(id, kBusyRatio, lock, stop);
    return true;
  }
  ready_was_last_ = false;
  if (!watched_due) return false;
  const PartitionId id = watched_.extract(watched_.begin()).value().second;
  auto found = partitions_.find(id);
  if (found == partitions_.end()) return true;
  const Clock::time_point quiet_from = found->second.last_added + options_.quiet;
  if (quiet_from > now || found->second.busy || found->second.ready) {
    watched_.emplace(std::max(quiet_from, now + kPeriod), id);
    return true;
  }
  Work(id, kQuietRatio, lock, stop);
  return true;
}

// Merges once where points keep coming, so that all partitions get their turn; all there is to
// merge of a quiet one, which is then forgotten.
void RocksDbCompactor::Work(const PartitionId& id, size_t ratio, std::unique_lock<std::mutex>& lock,
                            const std::stop_token& stop) {
  auto found = partitions_.find(id);
  if (found == partitions_.end()) return;
  // Nobody else removes it while it is busy.
  Partition& partition = found->second;
  partition.ready = false;
  partition.busy = true;
  partition.new_blocks = 0;
  std::shared_ptr<RocksDbDatabase> database = partition.database.lock();
  absl::StatusOr<Progress> progress = absl::NotFoundError("the database has been dropped");
  const auto merge = [&]() -> absl::StatusOr<Progress> {
    return MergeOnce(id, partition, *database, ratio, lock);
  };
  if (database != nullptr) progress = Caught(merge);
  while (progress.ok() && *progress == Progress::kMerged && ratio == kQuietRatio &&
         !stop.stop_requested()) {
    progress = Caught(merge);
  }
  if (!lock.owns_lock()) lock.lock();
  partition.busy = false;
  Conclude(id, partition, ratio, progress);
  // It may be the last to hold a database that was dropped, which takes its time.
  lock.unlock();
  database.reset();
  lock.lock();
}

absl::StatusOr<RocksDbCompactor::Progress> RocksDbCompactor::MergeOnce(
    const PartitionId& id, Partition& partition, RocksDbDatabase& database, size_t ratio,
    std::unique_lock<std::mutex>& lock) {
  if (!partition.complete) {
    absl::Status completed = Complete(id, partition, database, lock);
    if (!completed.ok()) return completed;
  }
  // In this order: a block that is not yet among the partition's is still in flight now.
  lock.unlock();
  const uint64_t before_sequence = engine_->FirstInFlight();
  lock.lock();
  const std::vector<StoredBlock> chosen = Choose(partition, before_sequence, ratio);
  if (chosen.empty()) {
    bool in_flight =
        !partition.blocks.empty() && partition.blocks.rbegin()->first.sequence >= before_sequence;
    return in_flight ? Progress::kInFlight : Progress::kNothing;
  }
  lock.unlock();
  const Clock::time_point start = Clock::now();
  std::vector<StoredBlock> merged;
  absl::Status status = Caught([&] { return Merge(database, chosen, merged); });
  lock.lock();
  if (absl::IsDataLoss(status)) {
    // None of them is tried again while the partition is known; their neighbours are.
    for (const StoredBlock& block : chosen) {
      auto damaged = partition.blocks.find(block.key);
      if (damaged != partition.blocks.end()) damaged->second.damaged = true;
    }
    ++stats_.failures;
    return Progress::kMerged;
  }
  if (!status.ok()) return status;
  for (const StoredBlock& block : chosen) {
    partition.blocks.erase(block.key);
    stats_.merged_rows += block.rows;
  }
  for (const StoredBlock& block : merged) partition.blocks.emplace(block.key, block);
  ++stats_.merges;
  stats_.merged_blocks += chosen.size();
  stats_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  return Progress::kMerged;
}

// Sees to it that a partition is looked at again, or forgets it.
void RocksDbCompactor::Conclude(const PartitionId& id, Partition& partition, size_t ratio,
                                const absl::StatusOr<Progress>& progress) {
  const Clock::time_point now = Clock::now();
  // What cannot be listed now cannot be later; a commit or a start brings the partition back.
  if (absl::IsNotFound(progress.status()) || absl::IsDataLoss(progress.status())) {
    if (absl::IsDataLoss(progress.status())) ++stats_.failures;
    partitions_.erase(id);
    return;
  }
  if (!progress.ok()) {
    ++stats_.failures;
    // Later, by what is on disk then.
    partition.complete = false;
    partition.blocks.clear();
    if (ratio == kQuietRatio) watched_.emplace(now + kRetryAfter, id);
    return;
  }
  if (ratio == kQuietRatio) {
    if (*progress == Progress::kNothing && partition.last_added + options_.quiet <= now) {
      partitions_.erase(id);
      return;
    }
    watched_.emplace(now + options_.quiet, id);
  } else if (*progress == Progress::kMerged) {
    // There may be more; it queues behind the others.
    partition.new_blocks = kReadyBlocks;
  }
  MakeReady(id, partition);
}

// Reads which blocks a partition has besides those that this was told of.
absl::Status RocksDbCompactor::Complete(const PartitionId& id, Partition& partition,
                                        RocksDbDatabase& database,
                                        std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  auto blocks = database.ListBlocks(std::get<1>(id), std::get<2>(id));
  lock.lock();
  if (!blocks.ok()) return blocks.status();
  for (const StoredBlock& block : *blocks) partition.blocks.emplace(block.key, block);
  partition.complete = true;
  return absl::OkStatus();
}

std::vector<StoredBlock> RocksDbCompactor::Choose(const Partition& partition,
                                                  uint64_t before_sequence, size_t ratio) const {
  std::vector<const StoredBlock*> blocks;
  std::vector<Run> runs;
  // Where each run's blocks begin.
  std::vector<size_t> begins;
  for (const auto& [key, block] : partition.blocks) {
    if (key.sequence >= before_sequence) break;
    bool same_run = !blocks.empty() && key.run != 0 && blocks.back()->key.run == key.run;
    if (!same_run) {
      runs.emplace_back();
      begins.push_back(blocks.size());
    }
    // More than a merge can take: what is damaged stays where it is, and apart from the others.
    runs.back().rows += block.rows;
    runs.back().bytes += block.damaged ? options_.max_merge_bytes + 1 : block.decoded_bytes;
    blocks.push_back(&block);
  }
  begins.push_back(blocks.size());
  const RunRange range = ChooseRuns(runs, ratio, options_.max_merge_bytes);
  std::vector<StoredBlock> chosen;
  for (size_t i = begins[range.first]; i < begins[range.last]; ++i) chosen.push_back(*blocks[i]);
  return chosen;
}

absl::Status RocksDbCompactor::Merge(RocksDbDatabase& database,
                                     const std::vector<StoredBlock>& chosen,
                                     std::vector<StoredBlock>& merged) {
  AtStep(CompactionStep::kChosen);
  rocksdb::ReadOptions options;
  // What is about to be deleted is not worth a place in the cache.
  options.fill_cache = false;
  std::vector<std::string> bytes;
  std::vector<Block> blocks;
  bytes.reserve(chosen.size());
  for (const StoredBlock& stored : chosen) {
    absl::StatusOr<std::string> read = database.ReadBlock(stored.key, options);
    if (!read.ok()) return read.status();
    bytes.push_back(*std::move(read));
    absl::StatusOr<Block> block = Block::Open(bytes.back());
    if (!block.ok()) return block.status();
    if (!block->has_body()) return absl::DataLossError("damaged block: no body");
    blocks.push_back(*std::move(block));
  }
  AtStep(CompactionStep::kRead);
  // A block may have columns of a commit that is just becoming visible.
  const TablePtr table = database.SchemaToRead()->FindById(chosen.front().key.table);
  if (table == nullptr) return absl::DataLossError("a block of no table");
  absl::StatusOr<std::vector<EncodedBlock>> made =
      Compact(*table, blocks, database.record().MinTimeNs(NowNs()));
  if (!made.ok()) return made.status();
  // The run's own number is one that no block has.
  absl::StatusOr<RocksDbEngine::Reservation> run = engine_->ReserveSequences(1);
  if (!run.ok()) return run.status();
  std::vector<BlockKey> keys;
  for (size_t i = 0; i < made->size(); ++i) {
    keys.push_back(chosen[chosen.size() - made->size() + i].key);
    keys.back().run = run->first();
  }
  AtStep(CompactionStep::kMerged);
  absl::StatusOr<std::vector<StoredBlock>> replaced = database.Replace(chosen, keys, *made);
  if (!replaced.ok()) return replaced.status();
  AtStep(CompactionStep::kReplaced);
  merged = *std::move(replaced);
  return absl::OkStatus();
}

// Once a while.
bool RocksDbCompactor::ExpireIfDue(std::unique_lock<std::mutex>& lock) {
  if (Clock::now() < next_expiry_) return false;
  next_expiry_ = Clock::now() + options_.expiry_period;
  lock.unlock();
  int64_t dropped = 0;
  uint64_t failed = 0;
  for (const std::shared_ptr<RocksDbDatabase>& database : Databases()) {
    const DatabaseRecord record = database->record();
    if (!record.settings.retention_ns) continue;
    AtStep(CompactionStep::kExpiring);
    absl::StatusOr<int64_t> blocks = database->DropPartitionsBefore(record.MinTimeNs(NowNs()));
    AtStep(CompactionStep::kExpired);
    if (blocks.ok()) {
      dropped += *blocks;
    } else if (!absl::IsNotFound(blocks.status())) {
      ++failed;
    }
  }
  lock.lock();
  stats_.expired_blocks += static_cast<uint64_t>(dropped);
  stats_.failures += failed;
  return true;
}

// Where a database was dropped, or the disk is nearly full: one family's points that are still in
// memory keep the log of all. What a flush takes has been counted as taken.
bool RocksDbCompactor::FreeLogIfDue(std::unique_lock<std::mutex>& lock) {
  const bool helps =
      engine_->disk_nearly_full() && engine_->logged_bytes() >= kWorthwhileFlushBytes;
  if ((!log_is_to_be_freed_ && !helps) || !engine_->CheckUsable().ok()) return false;
  log_is_to_be_freed_ = false;
  lock.unlock();
  // It counts as being in memory until it is not.
  const uint64_t logged_bytes = engine_->logged_bytes();
  for (const std::shared_ptr<RocksDbDatabase>& database : Databases()) database->Flush();
  engine_->FlushCatalog();
  engine_->SubtractLoggedBytes(logged_bytes);
  lock.lock();
  return true;
}

// When nothing has been written for a while and all is merged.
bool RocksDbCompactor::RestIfQuiet(std::unique_lock<std::mutex>& lock) {
  if (at_rest_ || !partitions_.empty()) return false;
  if (Clock::now() < last_added_ + 2 * options_.quiet) return false;
  at_rest_ = true;
  lock.unlock();
  const uint64_t logged_bytes = engine_->logged_bytes();
  if (logged_bytes >= kWorthwhileFlushBytes) {
    for (const std::shared_ptr<RocksDbDatabase>& database : Databases()) database->Settle();
    engine_->FlushCatalog();
    engine_->SubtractLoggedBytes(logged_bytes);
  }
  lock.lock();
  return true;
}

std::vector<std::shared_ptr<RocksDbDatabase>> RocksDbCompactor::Databases() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<RocksDbDatabase>> databases;
  for (const auto& known : databases_) {
    if (auto database = known.lock()) databases.push_back(std::move(database));
  }
  return databases;
}

void RocksDbCompactor::AtStep(CompactionStep step) const {
  if (options_.at_step) options_.at_step(step);
}

}  // namespace sluice::storage

#include "storage/block/compactor.h"

#include <sys/resource.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "storage/block/compaction.h"
#include "storage/caught.h"

namespace sluice::storage {
namespace {

// So many new blocks of a partition are worth a look. More would cost fewer merges, and queries of
// what is new more.
constexpr size_t kReadyBlocks = 8 * static_cast<size_t>(Eagerness::kBusy);
// So many of all are worth waking a thread before its time.
constexpr size_t kWakeBlocks = kReadyBlocks;
constexpr std::chrono::milliseconds kPeriod(200);
// After a merge that could not be written.
constexpr std::chrono::milliseconds kRetryAfter(10'000);
// After memory could not be had.
constexpr std::chrono::milliseconds kCatchBreath(1'000);
// One step down in priority for each: a merge gets about a fifth of what a busy writer gets where
// they share a core.
constexpr int kNice = 7;
constexpr size_t kAll = std::numeric_limits<size_t>::max();

}  // namespace

Compactor::Compactor(BlockEngine& engine, const CompactionOptions& options)
    : engine_(engine),
      options_(options),
      last_added_(Clock::now()),
      next_expiry_(Clock::now() + options.expiry_period) {
  for (size_t i = 0; i < options.threads; ++i) {
    threads_.emplace_back([this](std::stop_token stop) { Loop(stop); });
  }
}

void Compactor::Stop() {
  for (std::jthread& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Compactor::Watch(const std::shared_ptr<BlockLog>& log) {
  std::lock_guard lock(mutex_);
  std::erase_if(logs_, [](const auto& known) { return known.expired(); });
  logs_.push_back(log);
}

void Compactor::Added(const std::shared_ptr<BlockLog>& log, std::vector<StoredBlock> blocks) {
  if (blocks.empty() || options_.threads == 0 || has_gap_) return;
  bool enough = false;
  const absl::Status taken = Caught([&] {
    std::lock_guard lock(news_mutex_);
    const size_t before = news_blocks_;
    news_.push_back({log, log->id(), std::move(blocks)});
    news_blocks_ += news_.back().blocks.size();
    enough = before < kWakeBlocks && news_blocks_ >= kWakeBlocks;
  });
  if (!taken.ok()) has_gap_ = true;
  // Nobody may be waiting just now; then it is taken with the next look, a moment later.
  if (enough) wake_.notify_one();
}

void Compactor::Found(const std::shared_ptr<BlockLog>& log, uint32_t table, int64_t partition,
                      size_t unmerged_blocks) {
  const PartitionId id(log->id(), table, partition);
  std::lock_guard lock(mutex_);
  at_rest_ = false;
  Partition* known = Know(id, log, Clock::now());
  if (known == nullptr) return;
  known->new_blocks += unmerged_blocks;
  if (!known->complete) known->untried_blocks = std::max(known->untried_blocks, unmerged_blocks);
  MakeReady(id, *known);
}

// Takes in what Added has told since, in its order. Where that fails in the middle nothing is
// merged any more: what is known has a gap.
void Compactor::TakeNews() {
  std::vector<News> news;
  {
    std::lock_guard lock(news_mutex_);
    news.swap(news_);
    news_blocks_ = 0;
  }
  if (news.empty() || has_gap_) return;
  if (Caught([&] { Learn(news); }).ok()) return;
  has_gap_ = true;
  ++stats_.failures;
}

void Compactor::Learn(const std::vector<News>& news) {
  const Clock::time_point now = Clock::now();
  last_added_ = now;
  at_rest_ = false;
  for (const News& told : news) {
    for (const StoredBlock& block : told.blocks) {
      const PartitionId id(told.log_id, block.key.table, block.key.partition);
      Partition* partition = Know(id, told.log, now);
      if (partition == nullptr) continue;
      partition->runs.Append(block);
      ++partition->new_blocks;
      MakeReady(id, *partition);
    }
  }
}

Compactor::Partition* Compactor::Know(const PartitionId& id, const std::weak_ptr<BlockLog>& log,
                                      Clock::time_point now) {
  auto found = partitions_.find(id);
  if (found == partitions_.end()) {
    // What a block of it was passed over is listed when it is known.
    if (partitions_.size() >= options_.max_partitions) {
      has_passed_over_ = true;
      return nullptr;
    }
    found = partitions_.try_emplace(id, options_.max_merge_bytes).first;
    found->second.log = log;
    if (has_passed_over_) found->second.untried_blocks = kAll;
    watched_.emplace(now + options_.quiet, id);
  }
  found->second.last_added = now;
  return &found->second;
}

void Compactor::MakeReady(const PartitionId& id, Partition& partition) {
  if (partition.new_blocks < kReadyBlocks || partition.ready || partition.busy) return;
  partition.ready = true;
  ready_.push_back(id);
  wake_.notify_one();
}

CompactionStats Compactor::stats() const {
  std::lock_guard lock(mutex_);
  return stats_;
}

void Compactor::Loop(std::stop_token stop) {
  setpriority(PRIO_PROCESS, 0, kNice);
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const absl::StatusOr<bool> did_something =
        Caught([&]() -> absl::StatusOr<bool> { return Step(lock, stop); });
    if (did_something.ok() && *did_something) continue;
    if (did_something.ok()) {
      const bool can_write = engine_.CheckMergeable().ok();
      wake_.wait_for(lock, stop, kPeriod, [&] {
        TakeNews();
        return can_write && !has_gap_ && !ready_.empty();
      });
      continue;
    }
    if (!lock.owns_lock()) lock.lock();
    ++stats_.failures;
    wake_.wait_for(lock, stop, kCatchBreath, [] { return false; });
  }
}

bool Compactor::Step(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  TakeNews();
  if (ExpireIfDue(lock)) return true;
  lock.unlock();
  const bool tended = engine_.Tend();
  lock.lock();
  if (tended) return true;
  // Merging writes before it frees anything.
  return !has_gap_ && engine_.CheckMergeable().ok() && (WorkOnOne(lock, stop) || RestIfQuiet(lock));
}

// False if there is nothing to do now. Partitions that are written to and quiet ones take turns.
bool Compactor::WorkOnOne(std::unique_lock<std::mutex>& lock, const std::stop_token& stop) {
  const Clock::time_point now = Clock::now();
  const bool watched_due = !watched_.empty() && watched_.begin()->first <= now;
  if (!ready_.empty() && (!watched_due || !ready_was_last_)) {
    ready_was_last_ = true;
    const PartitionId id = ready_.front();
    ready_.pop_front();
    Work(id, Eagerness::kBusy, lock, stop);
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
  Work(id, Eagerness::kQuiet, lock, stop);
  return true;
}

// Merges once where points keep coming, so that all partitions get their turn; all there is to
// merge of a quiet one, which is then forgotten.
void Compactor::Work(const PartitionId& id, Eagerness eagerness, std::unique_lock<std::mutex>& lock,
                     const std::stop_token& stop) {
  auto found = partitions_.find(id);
  if (found == partitions_.end()) return;
  // Nobody else removes it while it is busy.
  Partition& partition = found->second;
  partition.ready = false;
  partition.busy = true;
  std::shared_ptr<BlockLog> log = partition.log.lock();
  absl::StatusOr<Progress> progress = absl::NotFoundError("the database has been dropped");
  const auto merge = [&]() -> absl::StatusOr<Progress> {
    return MergeOnce(id, partition, *log, eagerness, lock);
  };
  if (log != nullptr) progress = Caught(merge);
  while (progress.ok() && *progress == Progress::kMerged && eagerness == Eagerness::kQuiet &&
         !stop.stop_requested()) {
    progress = Caught(merge);
  }
  if (!lock.owns_lock()) lock.lock();
  partition.busy = false;
  Conclude(id, partition, eagerness, progress);
  // It may be the last to hold a database that was dropped, which takes its time.
  lock.unlock();
  log.reset();
  lock.lock();
}

// See the invariant in the header.
absl::StatusOr<Compactor::Progress> Compactor::MergeOnce(const PartitionId& id,
                                                         Partition& partition, BlockLog& log,
                                                         Eagerness eagerness,
                                                         std::unique_lock<std::mutex>& lock) {
  if (!partition.complete) {
    absl::Status completed = Complete(id, partition, log, lock);
    if (!completed.ok()) return completed;
  }
  // In this order: what is not told yet is still in flight now.
  const uint64_t before_sequence = engine_.FirstInFlight();
  TakeNews();
  if (has_gap_) return Progress::kNothing;
  const std::span<const StoredBlock> chosen = partition.runs.Choose(before_sequence, eagerness);
  if (chosen.empty()) {
    partition.new_blocks = 0;
    return partition.runs.newest_sequence() >= before_sequence ? Progress::kInFlight
                                                               : Progress::kNothing;
  }
  uint64_t rows = 0;
  size_t new_blocks = 0;
  for (const StoredBlock& block : chosen) {
    rows += block.rows;
    new_blocks += block.key.run == 0 ? 1 : 0;
  }
  lock.unlock();
  const Clock::time_point start = Clock::now();
  absl::StatusOr<std::vector<StoredBlock>> merged =
      Caught([&]() -> absl::StatusOr<std::vector<StoredBlock>> { return Merge(log, chosen); });
  lock.lock();
  partition.new_blocks -= std::min(partition.new_blocks, new_blocks);
  if (absl::IsDataLoss(merged.status())) {
    // None of them is tried again while the partition is known; their neighbours are.
    partition.runs.SetDamaged();
    ++stats_.failures;
    return Progress::kMerged;
  }
  if (!merged.ok()) return merged.status();
  ++stats_.merges;
  stats_.merged_blocks += chosen.size();
  stats_.merged_rows += rows;
  stats_.seconds += std::chrono::duration<double>(Clock::now() - start).count();
  partition.runs.Replace(*std::move(merged));
  return Progress::kMerged;
}

// Sees to it that a partition is looked at again, or forgets it.
void Compactor::Conclude(const PartitionId& id, Partition& partition, Eagerness eagerness,
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
    partition.untried_blocks = kAll;
    partition.runs = Runs(options_.max_merge_bytes);
    if (eagerness == Eagerness::kQuiet) watched_.emplace(now + kRetryAfter, id);
    return;
  }
  if (eagerness == Eagerness::kQuiet) {
    if (*progress == Progress::kNothing && partition.last_added + options_.quiet <= now) {
      partitions_.erase(id);
      return;
    }
    watched_.emplace(now + options_.quiet, id);
  }
  // Where there is more it queues behind the others.
  MakeReady(id, partition);
}

// Reads which older blocks a partition has, as far as they matter.
absl::Status Compactor::Complete(const PartitionId& id, Partition& partition, BlockLog& log,
                                 std::unique_lock<std::mutex>& lock) {
  const uint64_t before_sequence = partition.runs.empty() ? std::numeric_limits<uint64_t>::max()
                                                          : partition.runs.oldest_sequence();
  size_t untried = partition.untried_blocks;
  lock.unlock();
  std::vector<StoredBlock> older;
  Runs measure(options_.max_merge_bytes);
  absl::Status listed = log.ListNewestFirst(std::get<1>(id), std::get<2>(id), before_sequence,
                                            [&](const StoredBlock& block) {
                                              if (untried == 0 && !measure.NeedsOlder(block)) {
                                                return false;
                                              }
                                              if (block.key.run == 0 && untried > 0) --untried;
                                              measure.Prepend(block);
                                              older.push_back(block);
                                              return true;
                                            });
  lock.lock();
  if (!listed.ok()) return listed;
  for (const StoredBlock& block : older) {
    // Meanwhile the newest of them may have been told of as well.
    const Runs& runs = partition.runs;
    if (runs.empty() || block.key.sequence < runs.oldest_sequence()) partition.runs.Prepend(block);
  }
  partition.complete = true;
  partition.untried_blocks = 0;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<StoredBlock>> Compactor::Merge(BlockLog& log,
                                                          std::span<const StoredBlock> chosen) {
  AtStep(CompactionStep::kChosen);
  std::vector<std::string> bytes;
  std::vector<Block> blocks;
  bytes.reserve(chosen.size());
  for (const StoredBlock& stored : chosen) {
    absl::StatusOr<std::string> read = log.ReadForMerge(stored.key);
    if (!read.ok()) return read.status();
    bytes.push_back(*std::move(read));
    absl::StatusOr<Block> block = Block::Open(bytes.back());
    if (!block.ok()) return block.status();
    if (!block->has_body()) return absl::DataLossError("damaged block: no body");
    blocks.push_back(*std::move(block));
  }
  AtStep(CompactionStep::kRead);
  const TablePtr table = log.Table(chosen.front().key.table);
  if (table == nullptr) return absl::DataLossError("a block of no table");
  absl::StatusOr<std::vector<EncodedBlock>> made = Compact(*table, blocks, log.MinTimeNs());
  if (!made.ok()) return made.status();
  AtStep(CompactionStep::kMerged);
  absl::StatusOr<std::vector<StoredBlock>> replaced = log.Replace(chosen, *made);
  if (replaced.ok()) AtStep(CompactionStep::kReplaced);
  return replaced;
}

// Once a while.
bool Compactor::ExpireIfDue(std::unique_lock<std::mutex>& lock) {
  if (Clock::now() < next_expiry_) return false;
  next_expiry_ = Clock::now() + options_.expiry_period;
  lock.unlock();
  int64_t dropped = 0;
  uint64_t failed = 0;
  for (const std::shared_ptr<BlockLog>& log : Logs()) {
    const absl::Status forgotten = log->ForgetMarks();
    if (!forgotten.ok() && !absl::IsNotFound(forgotten)) ++failed;
    if (log->MinTimeNs() == std::numeric_limits<int64_t>::min()) continue;
    AtStep(CompactionStep::kExpiring);
    absl::StatusOr<int64_t> blocks = log->DropExpiredPartitions();
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

// When nothing has been written for a while and all is merged.
bool Compactor::RestIfQuiet(std::unique_lock<std::mutex>& lock) {
  if (at_rest_ || !partitions_.empty()) return false;
  if (Clock::now() < last_added_ + 2 * options_.quiet) return false;
  at_rest_ = true;
  lock.unlock();
  engine_.Rest();
  lock.lock();
  return true;
}

std::vector<std::shared_ptr<BlockLog>> Compactor::Logs() {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<BlockLog>> logs;
  for (const auto& known : logs_) {
    if (auto log = known.lock()) logs.push_back(std::move(log));
  }
  return logs;
}

void Compactor::AtStep(CompactionStep step) const {
  if (options_.at_step) options_.at_step(step);
}

}  // namespace sluice::storage

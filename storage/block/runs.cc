#include "storage/block/runs.h"

#include <algorithm>
#include <utility>

namespace sluice::storage {
namespace {

// A row takes up to this in the numbers that order it, whatever is in it.
constexpr size_t kOrderBytes = 128;

bool IsLargeEnough(size_t rows, size_t largest, Eagerness eagerness) {
  size_t ratio = static_cast<size_t>(eagerness);
  if (largest >= kLargeRunRows) ratio = kLargeRunRatio;
  return rows >= ratio * largest;
}

}  // namespace

Runs::Runs(size_t max_merge_bytes)
    : max_rows_(std::min(kMaxMergeRows, max_merge_bytes / kOrderBytes)),
      max_bytes_(max_merge_bytes) {}

void Runs::Add(const StoredBlock& block, Run& run) const {
  run.rows += block.rows;
  // More than a merge can take: what is damaged stays where it is, and apart from the others.
  run.bytes += block.damaged ? max_bytes_ + 1 : block.decoded_bytes;
  run.blocks.push_back(block);
}

void Runs::Append(const StoredBlock& block) {
  if (block.key.sequence <= newest_sequence_) return;
  newest_sequence_ = block.key.sequence;
  const uint64_t run = block.key.run;
  if (run == 0 || runs_.empty() || runs_.back().blocks.back().key.run != run) runs_.emplace_back();
  Add(block, runs_.back());
}

bool Runs::IsOfFirstRun(const StoredBlock& block) const {
  const uint64_t run = block.key.run;
  return run != 0 && !runs_.empty() && runs_.front().blocks.front().key.run == run;
}

bool Runs::NeedsOlder(const StoredBlock& block) const {
  const bool enough = prepended_rows_ > max_rows_ || prepended_bytes_ > max_bytes_;
  // A run is taken whole, or it would look smaller than it is.
  return !enough || IsOfFirstRun(block);
}

void Runs::Prepend(const StoredBlock& block) {
  if (!IsOfFirstRun(block)) runs_.emplace_front();
  Add(block, runs_.front());
  std::rotate(runs_.front().blocks.begin(), runs_.front().blocks.end() - 1,
              runs_.front().blocks.end());
  newest_sequence_ = std::max(newest_sequence_, block.key.sequence);
  prepended_rows_ += block.rows;
  prepended_bytes_ += block.decoded_bytes;
}

Runs::View Runs::LookFrom(size_t first, uint64_t before_sequence, Eagerness eagerness) const {
  View view;
  size_t rows = 0;
  size_t bytes = 0;
  size_t largest = 0;
  const size_t end = std::min(runs_.size(), first + kMaxMergeRuns);
  for (size_t i = first; i < end; ++i) {
    const Run& run = runs_[i];
    rows += run.rows;
    bytes += run.bytes;
    largest = std::max(largest, run.rows);
    view.ended_by_limits = rows > max_rows_ || bytes > max_bytes_;
    if (view.ended_by_limits || run.blocks.back().key.sequence >= before_sequence) return view;
    if (i == first) continue;
    view.may_be_merged_when_quiet |= IsLargeEnough(rows, largest, Eagerness::kQuiet);
    if (IsLargeEnough(rows, largest, eagerness)) view.range = {first, i + 1};
  }
  return view;
}

std::span<const StoredBlock> Runs::Choose(uint64_t before_sequence, Eagerness eagerness) {
  chosen_ = {};
  chosen_blocks_.clear();
  const bool busy = eagerness == Eagerness::kBusy;
  for (size_t first = busy ? busy_first_ : 0; first + 1 < runs_.size();) {
    const View view = LookFrom(first, before_sequence, eagerness);
    if (view.range.last != 0) {
      chosen_ = view.range;
      break;
    }
    // In order only: a run that is passed over has none before it that is not.
    const bool passed_over = view.ended_by_limits && first <= busy_first_;
    if (passed_over && first == 0 && !view.may_be_merged_when_quiet) {
      runs_.pop_front();
      busy_first_ -= busy_first_ > 0 ? 1 : 0;
      continue;
    }
    if (passed_over && busy) busy_first_ = first + 1;
    ++first;
  }
  for (size_t i = chosen_.first; i < chosen_.last; ++i) {
    chosen_blocks_.insert(chosen_blocks_.end(), runs_[i].blocks.begin(), runs_[i].blocks.end());
  }
  return chosen_blocks_;
}

void Runs::Replace(std::vector<StoredBlock> merged) {
  const auto first = runs_.begin() + static_cast<ptrdiff_t>(chosen_.first);
  const auto last = runs_.begin() + static_cast<ptrdiff_t>(chosen_.last);
  if (merged.empty()) {
    runs_.erase(first, last);
  } else {
    Run run;
    for (const StoredBlock& block : merged) Add(block, run);
    *first = std::move(run);
    runs_.erase(first + 1, last);
  }
  busy_first_ = std::min(busy_first_, chosen_.first);
  chosen_ = {};
}

void Runs::SetDamaged() {
  for (size_t i = chosen_.first; i < chosen_.last; ++i) {
    for (StoredBlock& block : runs_[i].blocks) block.damaged = true;
    runs_[i].bytes = max_bytes_ + 1;
  }
  chosen_ = {};
}

}  // namespace sluice::storage

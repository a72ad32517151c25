#include "storage/block/runs.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

namespace sluice::storage {
namespace {

constexpr size_t kMaxBytes = size_t{256} << 20;
constexpr uint64_t kNoneInFlight = ~uint64_t{0};

StoredBlock Block(uint64_t sequence, size_t rows, uint64_t run = 0, size_t bytes = 0) {
  return {.key = {1, 0, sequence, run}, .rows = rows, .decoded_bytes = bytes};
}

using Sizes = std::vector<size_t>;
using Sequences = std::vector<uint64_t>;

// Blocks of so many rows, with sequences from 1.
Runs Of(const Sizes& rows, size_t bytes = 0) {
  Runs runs(kMaxBytes);
  for (size_t i = 0; i < rows.size(); ++i) runs.Append(Block(i + 1, rows[i], 0, bytes));
  return runs;
}

Sequences Chosen(Runs& runs, Eagerness eagerness, uint64_t before_sequence = kNoneInFlight) {
  Sequences sequences;
  for (const StoredBlock& block : runs.Choose(before_sequence, eagerness)) {
    sequences.push_back(block.key.sequence);
  }
  return sequences;
}

Sequences ChosenOf(const Sizes& rows, Eagerness eagerness) {
  Runs runs = Of(rows);
  return Chosen(runs, eagerness);
}

TEST(RunsTest, WaitUntilThereIsEnoughOfThem) {
  EXPECT_EQ(ChosenOf({}, Eagerness::kQuiet), Sequences());
  EXPECT_EQ(ChosenOf({5}, Eagerness::kQuiet), Sequences());
  EXPECT_EQ(ChosenOf({5, 5}, Eagerness::kQuiet), (Sequences{1, 2}));
  EXPECT_EQ(ChosenOf(Sizes(15, 5), Eagerness::kBusy), Sequences());
  EXPECT_EQ(ChosenOf(Sizes(16, 5), Eagerness::kBusy).size(), 16u);
  EXPECT_EQ(ChosenOf(Sizes(40, 5), Eagerness::kBusy).size(), 40u);
}

TEST(RunsTest, ALargeOneIsLeftAloneUntilTheRestIsAsLarge) {
  EXPECT_EQ(ChosenOf({100, 5, 5, 5, 5}, Eagerness::kQuiet), (Sequences{2, 3, 4, 5}));
  EXPECT_EQ(ChosenOf({100, 20, 20, 20, 20}, Eagerness::kQuiet), (Sequences{2, 3, 4, 5}));
  EXPECT_EQ(ChosenOf({100, 20, 20, 20, 20, 20}, Eagerness::kQuiet), (Sequences{1, 2, 3, 4, 5, 6}));
}

TEST(RunsTest, TheOldestAreMergedWithinTheLimits) {
  constexpr size_t kPart = kMaxMergeRows / 10;
  EXPECT_EQ(ChosenOf(Sizes(12, kPart), Eagerness::kQuiet).size(), 10u);
  Sizes behind_a_full_one(12, kPart);
  behind_a_full_one[0] = kMaxMergeRows;
  const Sequences chosen = ChosenOf(behind_a_full_one, Eagerness::kBusy);
  EXPECT_EQ(chosen.front(), 2u);
  EXPECT_EQ(chosen.back(), 11u);
  Runs wide = Of({10, 10, 10, 10}, kMaxBytes / 3);
  EXPECT_EQ(Chosen(wide, Eagerness::kQuiet), (Sequences{1, 2, 3}));
  EXPECT_EQ(ChosenOf(Sizes(kMaxMergeRuns, 1), Eagerness::kBusy).size(), kMaxMergeRuns);
  EXPECT_EQ(ChosenOf(Sizes(kMaxMergeRuns + 1, 1), Eagerness::kBusy).size(), kMaxMergeRuns);
}

TEST(RunsTest, LargeOnesAreMergedWhereThatMakesThemMuchLargerOnly) {
  EXPECT_EQ(ChosenOf(Sizes(7, kLargeRunRows), Eagerness::kQuiet), Sequences());
  EXPECT_EQ(ChosenOf(Sizes(8, kLargeRunRows), Eagerness::kQuiet).size(), 8u);
  EXPECT_EQ(ChosenOf(Sizes(8, kLargeRunRows), Eagerness::kBusy).size(), 8u);
  EXPECT_EQ(ChosenOf(Sizes(2, kLargeRunRows - 1), Eagerness::kQuiet).size(), 2u);
}

TEST(RunsTest, WhatMayStillBeWrittenIsNeverChosen) {
  Runs runs = Of({5, 5, 5, 5});
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet, 2), Sequences());
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet, 4), (Sequences{1, 2, 3}));
}

TEST(RunsTest, ARunIsChosenWholeAndStandsWhereItsInputsStood) {
  Runs runs = Of({5, 5, 5, 5, 20});
  ASSERT_EQ(Chosen(runs, Eagerness::kQuiet, 5), (Sequences{1, 2, 3, 4}));
  runs.Append(Block(6, 1));
  runs.Replace({Block(3, 10, 7), Block(4, 10, 7)});
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), (Sequences{3, 4, 5, 6}));
  runs.Replace({});
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), Sequences());
  EXPECT_EQ(runs.newest_sequence(), 6u);
}

TEST(RunsTest, DamagedOnesStayAndDivideTheOthers) {
  Runs runs = Of({5, 5});
  ASSERT_EQ(Chosen(runs, Eagerness::kQuiet), (Sequences{1, 2}));
  runs.SetDamaged();
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), Sequences());
  runs.Append(Block(3, 5));
  runs.Append(Block(4, 5));
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), (Sequences{3, 4}));
}

TEST(RunsTest, OlderOnesAreTakenUpToWhatOneMergeCanTakeAndRunsWhole) {
  Runs runs(kMaxBytes);
  runs.Append(Block(1000, 1));
  for (const StoredBlock& block : {Block(999, kMaxMergeRows), Block(998, 1, 5), Block(997, 1, 5)}) {
    EXPECT_TRUE(runs.NeedsOlder(block));
    runs.Prepend(block);
  }
  EXPECT_FALSE(runs.NeedsOlder(Block(996, 1, 4)));
  EXPECT_EQ(runs.oldest_sequence(), 997u);
}

TEST(RunsTest, WhatIsKnownAlreadyIsNotAddedAgain) {
  Runs runs(kMaxBytes);
  runs.Prepend(Block(7, 5));
  runs.Append(Block(6, 5));
  runs.Append(Block(7, 5));
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), Sequences());
}

// Runs that a busy partition passes over are merged when it is quiet.
TEST(RunsTest, WhatABusyPartitionLeavesIsMergedWhenItIsQuiet) {
  Runs runs = Of(Sizes(20, 10), kMaxBytes / 5);
  EXPECT_EQ(Chosen(runs, Eagerness::kBusy), Sequences());
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), (Sequences{1, 2, 3, 4, 5}));
}

// Whatever comes in whatever sizes: merged to the end, each block is in one merge at a time, in
// order, and few runs are left; a row is merged a few times.
TEST(RunsTest, RandomBlocksAreMergedToFewRuns) {
  std::mt19937 random(1);
  Runs runs(kMaxBytes);
  uint64_t sequence = 0;
  uint64_t run = 1'000'000;
  size_t rows = 0;
  size_t merged_rows = 0;
  const auto merge = [&](Eagerness eagerness) {
    while (true) {
      const std::span<const StoredBlock> chosen = runs.Choose(kNoneInFlight, eagerness);
      if (chosen.empty()) return;
      size_t sum = 0;
      for (size_t i = 0; i < chosen.size(); ++i) {
        sum += chosen[i].rows;
        if (i > 0) {
          ASSERT_LT(chosen[i - 1].key.sequence, chosen[i].key.sequence);
        }
      }
      merged_rows += sum;
      runs.Replace({Block(chosen.back().key.sequence, sum, ++run)});
    }
  };
  for (int i = 0; i < 20'000; ++i) {
    const size_t size = size_t{1} << random() % 13;
    rows += size;
    runs.Append(Block(++sequence, size));
    if (i % 64 == 0) merge(Eagerness::kBusy);
  }
  merge(Eagerness::kQuiet);
  EXPECT_LT(merged_rows, 5 * rows);
  EXPECT_GT(merged_rows, rows);
  EXPECT_EQ(Chosen(runs, Eagerness::kQuiet), Sequences());
}

}  // namespace
}  // namespace sluice::storage

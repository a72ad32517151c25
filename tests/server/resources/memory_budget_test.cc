#include "server/resources/memory_budget.h"

#include <gtest/gtest.h>

namespace sluice::server {
namespace {

TEST(MemoryBudgetTest, SharesTakeNoMoreThanThereIsAndGiveItBack) {
  MemoryBudget budget(100);
  MemoryBudget::Share first(budget);
  EXPECT_TRUE(first.Grow(60).ok());
  {
    MemoryBudget::Share second(budget);
    EXPECT_TRUE(second.Grow(40).ok());
    absl::Status refused = second.Grow(1);
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(refused.message(), "the memory for requests under way (100 bytes) is used up");
    EXPECT_EQ(budget.used_bytes(), 100u);
  }
  EXPECT_TRUE(first.Grow(40).ok());
  first.Clear();
  EXPECT_EQ(budget.used_bytes(), 0u);
}

TEST(MemoryBudgetTest, WhatNeverFindsRoomIsNotToComeBack) {
  MemoryBudget budget(100);
  MemoryBudget::Share other(budget);
  EXPECT_TRUE(other.Grow(30).ok());
  MemoryBudget::Share share(budget);
  EXPECT_TRUE(share.Grow(20).ok());
  EXPECT_TRUE(absl::IsUnavailable(share.Grow(51)));
  EXPECT_TRUE(absl::IsUnavailable(share.Grow(80)));
  EXPECT_TRUE(absl::IsResourceExhausted(share.Grow(81)));
  EXPECT_EQ(budget.used_bytes(), 50u);
  EXPECT_TRUE(absl::IsUnavailable(share.Grow(10, 41)));
  EXPECT_TRUE(share.Grow(10, 40).ok());
  share.Shrink(15);
  EXPECT_EQ(budget.used_bytes(), 45u);
}

TEST(MemoryBudgetTest, LargeBodiesLeaveRoomForSmallOnes) {
  constexpr size_t kMiB = 1 << 20;
  MemoryBudget budget(40 * kMiB);
  MemoryBudget::Share other(budget);
  MemoryBudget::Share large(budget);
  EXPECT_TRUE(large.GrowBody(40 * kMiB).ok());
  large.Clear();
  EXPECT_TRUE(other.GrowBody(1).ok());
  EXPECT_TRUE(large.GrowBody(30 * kMiB - 1).ok());
  EXPECT_TRUE(absl::IsUnavailable(large.GrowBody(1)));
  EXPECT_TRUE(absl::IsUnavailable(large.GrowBody(100 * kMiB)));
  MemoryBudget::Share small(budget);
  EXPECT_TRUE(small.GrowBody(256 << 10).ok());
  EXPECT_TRUE(absl::IsUnavailable(small.GrowBody(10 * kMiB)));
}

}  // namespace
}  // namespace sluice::server

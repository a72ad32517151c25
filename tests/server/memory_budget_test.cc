#include "server/memory_budget.h"

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
  MemoryBudget::Share body(budget);
  EXPECT_TRUE(body.Grow(30).ok());
  MemoryBudget::Share judging(budget, 30);
  EXPECT_TRUE(judging.Grow(20).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(judging.Grow(51)));
  EXPECT_TRUE(judging.Grow(50).ok());
  EXPECT_EQ(budget.used_bytes(), 100u);
}

}  // namespace
}  // namespace sluice::server

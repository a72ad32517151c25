#include "server/resources/memory_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::server {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

TEST(MemoryPlanTest, PartsAreLessThanTheWhole) {
  for (uint64_t total = 260 * kMiB; total < (uint64_t{1} << 42); total += total / 3) {
    auto plan = PlanMemory(total, 10 * kMiB);
    ASSERT_TRUE(plan.ok()) << total;
    // A merge takes its inputs, what they are decoded, and its outputs.
    EXPECT_LT(plan->body_bytes + plan->judging_bytes + plan->query_bytes + 3 * plan->merge_bytes +
                  plan->write_buffer_bytes + plan->block_cache_bytes,
              total);
    EXPECT_GE(plan->body_bytes, 20 * kMiB);
  }
}

TEST(MemoryPlanTest, AMachineOfItsOwnHasTheRoomThatBenchmarksWereMadeWith) {
  auto plan = PlanMemory(8192 * kMiB, 10 * kMiB);
  EXPECT_EQ(plan->write_buffer_bytes, 256 * kMiB);
  EXPECT_EQ(plan->block_cache_bytes, 256 * kMiB);
  EXPECT_EQ(plan->merge_bytes, 256 * kMiB);
  EXPECT_EQ(plan->body_bytes, 512 * kMiB);
  EXPECT_GE(plan->judging_bytes, 1024 * kMiB);
}

TEST(MemoryPlanTest, OneThatHoldsNoBodyIsRefused) {
  EXPECT_TRUE(PlanMemory(256 * kMiB, 10 * kMiB).ok());
  for (uint64_t total : {uint64_t{0}, uint64_t{1}, 48 * kMiB, 240 * kMiB}) {
    auto plan = PlanMemory(total, 10 * kMiB);
    EXPECT_TRUE(absl::IsInvalidArgument(plan.status())) << total;
    EXPECT_THAT(std::string(plan.status().message()), testing::HasSubstr("--max-body-bytes"));
  }
}

}  // namespace
}  // namespace sluice::server

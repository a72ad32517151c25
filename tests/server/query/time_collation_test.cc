#include "server/query/time_collation.h"

#include <gtest/gtest.h>

namespace sluice::query {
namespace {

TEST(CompareTimesTest, TimesCompareAsTimes) {
  EXPECT_EQ(CompareTimes("2026-01-01", "2026-01-01T00:00:00.000000000Z"), 0);
  EXPECT_LT(CompareTimes("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000001Z"), 0);
  EXPECT_GT(CompareTimes("2026-01-01T00:00:00.000000002Z", "2026-01-01T00:00:00.000000001Z"), 0);
  EXPECT_EQ(CompareTimes("1000", "1970-01-01T00:00:00.000001Z"), 0);
}

TEST(CompareTimesTest, OtherTextsSortAfterTimes) {
  EXPECT_LT(CompareTimes("2026-01-01", "!"), 0);
  EXPECT_GT(CompareTimes("!", "2026-01-01"), 0);
  EXPECT_LT(CompareTimes("a", "b"), 0);
  EXPECT_EQ(CompareTimes("", ""), 0);
}

}  // namespace
}  // namespace sluice::query

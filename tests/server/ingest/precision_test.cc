#include "server/ingest/precision.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::ingest {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();

TEST(ToNanosecondsTest, ScalesEveryUnit) {
  EXPECT_EQ(ToNanoseconds(7, Precision::kNanosecond), 7);
  EXPECT_EQ(ToNanoseconds(7, Precision::kMicrosecond), 7'000);
  EXPECT_EQ(ToNanoseconds(7, Precision::kMillisecond), 7'000'000);
  EXPECT_EQ(ToNanoseconds(-7, Precision::kSecond), -7'000'000'000);
  EXPECT_EQ(ToNanoseconds(1, Precision::kMinute), 60'000'000'000);
  EXPECT_EQ(ToNanoseconds(1, Precision::kHour), 3'600'000'000'000);
}

TEST(ToNanosecondsTest, SaysWhenItOverflows) {
  EXPECT_EQ(ToNanoseconds(kMax, Precision::kNanosecond), kMax);
  EXPECT_EQ(ToNanoseconds(kMax, Precision::kMicrosecond), std::nullopt);
  EXPECT_EQ(ToNanoseconds(9'223'372'036, Precision::kSecond), 9'223'372'036'000'000'000);
  EXPECT_EQ(ToNanoseconds(9'223'372'037, Precision::kSecond), std::nullopt);
  EXPECT_EQ(ToNanoseconds(kMin, Precision::kHour), std::nullopt);
}

TEST(ToNanosecondsTest, GuessesTheUnitByMagnitude) {
  EXPECT_EQ(ToNanoseconds(4'999'999'999, Precision::kAuto), 4'999'999'999'000'000'000);
  EXPECT_EQ(ToNanoseconds(5'000'000'000, Precision::kAuto), 5'000'000'000'000'000);
  EXPECT_EQ(ToNanoseconds(4'999'999'999'999, Precision::kAuto), 4'999'999'999'999'000'000);
  EXPECT_EQ(ToNanoseconds(5'000'000'000'000, Precision::kAuto), 5'000'000'000'000'000);
  EXPECT_EQ(ToNanoseconds(4'999'999'999'999'999, Precision::kAuto), 4'999'999'999'999'999'000);
  EXPECT_EQ(ToNanoseconds(5'000'000'000'000'000, Precision::kAuto), 5'000'000'000'000'000);
  EXPECT_EQ(ToNanoseconds(-1'700'000'000, Precision::kAuto), -1'700'000'000'000'000'000);
  EXPECT_EQ(ToNanoseconds(kMin, Precision::kAuto), kMin);
}

TEST(TruncateTest, CutsToTheUnit) {
  EXPECT_EQ(Truncate(1'700'000'000'123'456'789, Precision::kSecond), 1'700'000'000'000'000'000);
  EXPECT_EQ(Truncate(1'700'000'000'123'456'789, Precision::kMicrosecond),
            1'700'000'000'123'456'000);
  EXPECT_EQ(Truncate(1'700'000'000'123'456'789, Precision::kAuto), 1'700'000'000'123'456'789);
}

}  // namespace
}  // namespace sluice::ingest

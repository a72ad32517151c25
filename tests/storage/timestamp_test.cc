#include "storage/timestamp.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::storage {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(TimestampTest, FormatsWithNineDigits) {
  EXPECT_EQ(FormatTimestamp(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatTimestamp(-1), "1969-12-31T23:59:59.999999999Z");
  EXPECT_EQ(FormatTimestamp(1'700'000'000'123'456'789), "2023-11-14T22:13:20.123456789Z");
  EXPECT_EQ(FormatTimestamp(kMin), "1677-09-21T00:12:43.145224192Z");
  EXPECT_EQ(FormatTimestamp(kMax), "2262-04-11T23:47:16.854775807Z");
}

TEST(TimestampTest, ReadsBackWhatItFormats) {
  for (int64_t time : {kMin, kMin + 1, int64_t{-1'000'000'001}, int64_t{-1}, int64_t{0}, kMax}) {
    EXPECT_EQ(ParseTimestamp(FormatTimestamp(time)), time);
  }
}

TEST(TimestampTest, ReadsTheFormsThatPeopleWrite) {
  constexpr int64_t kSecond = 1'000'000'000;
  EXPECT_EQ(ParseTimestamp("1970-01-02"), 86400 * kSecond);
  EXPECT_EQ(ParseTimestamp("1970-01-01 00:01"), 60 * kSecond);
  EXPECT_EQ(ParseTimestamp("1970-01-01T00:00:01"), kSecond);
  EXPECT_EQ(ParseTimestamp("1970-01-01t00:00:01.5z"), kSecond * 3 / 2);
  EXPECT_EQ(ParseTimestamp("1970-01-01T01:00:00+01:00"), 0);
  EXPECT_EQ(ParseTimestamp("1969-12-31T23:30:00-00:30"), 0);
  EXPECT_EQ(ParseTimestamp("-42"), -42);
}

TEST(TimestampTest, TimesOutOfRangeBecomeItsEnds) {
  EXPECT_EQ(ParseTimestamp("9999-12-31T23:59:59Z"), kMax);
  EXPECT_EQ(ParseTimestamp("0001-01-01"), kMin);
  EXPECT_EQ(ParseTimestamp("99999999999999999999"), kMax);
}

TEST(TimestampTest, RefusesWhatIsNoTime) {
  for (const char* text : {"", "x", "2023-", "2023-13-01", "2023-02-30", "2023-01-01T",
                           "2023-01-01T1", "2023-01-01T25:00", "2023-01-01T00:00:00.",
                           "2023-01-01T00:00:00Zx", "2023-01-01T00:00:00+1"}) {
    EXPECT_EQ(ParseTimestamp(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sluice::storage

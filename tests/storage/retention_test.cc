#include "storage/retention.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;

TEST(RetentionTest, ReadsNumbersWithUnits) {
  EXPECT_EQ(*ParseRetention("30d"), 30 * kDay);
  EXPECT_EQ(*ParseRetention("2w3d"), 17 * kDay);
  EXPECT_EQ(*ParseRetention("1y"), 365 * kDay);
  EXPECT_EQ(*ParseRetention("12h30m15s"), kDay / 2 + 1815 * int64_t{1'000'000'000});
  EXPECT_EQ(*ParseRetention("none"), std::nullopt);
}

TEST(RetentionTest, RefusesEverythingElse) {
  for (const char* text : {"", "d", "30", "30x", "-1d", "0d", "1d ", "101y",
                           "99999999999999999999d", "9223372036854775807y"}) {
    EXPECT_EQ(ParseRetention(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace sluice::storage

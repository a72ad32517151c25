#include "storage/rocksdb/mark.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TEST(MarkTest, IsReadAsItWasWritten) {
  const std::string bytes = EncodeMark({.sequence = -7, .time_ns = 1'700'000'000'000'000'000});
  const absl::StatusOr<Mark> mark = DecodeMark(bytes);
  ASSERT_TRUE(mark.ok());
  EXPECT_EQ(mark->sequence, -7);
  EXPECT_EQ(mark->time_ns, 1'700'000'000'000'000'000);
}

TEST(MarkTest, AnythingElseIsDamage) {
  const std::string bytes = EncodeMark({.sequence = 7, .time_ns = 300});
  EXPECT_TRUE(absl::IsDataLoss(DecodeMark("").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeMark(bytes + "x").status()));
  EXPECT_TRUE(absl::IsDataLoss(DecodeMark(bytes.substr(0, 2)).status()));
}

}  // namespace
}  // namespace sluice::storage

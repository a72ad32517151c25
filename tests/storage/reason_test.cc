#include "storage/reason.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TEST(ReasonTest, GoesWithItsStatus) {
  const absl::Status status =
      WithReason(absl::NotFoundError("gone"), "TABLE_NOT_FOUND", {{"table", "a=b\n"}, {"", "x"}});
  EXPECT_EQ(status.message(), "gone");
  const absl::Status copy = status;
  const std::optional<Reason> reason = ReasonOf(copy);
  ASSERT_TRUE(reason.has_value());
  EXPECT_EQ(reason->name, "TABLE_NOT_FOUND");
  EXPECT_EQ(reason->metadata, (std::map<std::string, std::string>{{"table", "a=b\n"}, {"", "x"}}));
  EXPECT_EQ(ReasonOf(WithReason(copy, "OTHER"))->name, "OTHER");
}

TEST(ReasonTest, MostHaveNone) {
  EXPECT_FALSE(ReasonOf(absl::OkStatus()).has_value());
  EXPECT_FALSE(ReasonOf(absl::NotFoundError("gone")).has_value());
}

}  // namespace
}  // namespace sluice::storage

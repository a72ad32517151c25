#include "storage/settings.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TEST(SettingsTest, LimitsHaveEnds) {
  EXPECT_FALSE(CheckTableLimit(0).ok());
  EXPECT_TRUE(CheckTableLimit(1).ok());
  EXPECT_TRUE(CheckTableLimit(100'000).ok());
  EXPECT_EQ(CheckTableLimit(100'001).message(), "a limit of tables is 1 to 100000, not 100001");
  EXPECT_FALSE(CheckColumnLimit(1).ok());
  EXPECT_TRUE(CheckColumnLimit(2).ok());
  EXPECT_TRUE(CheckColumnLimit(2'000).ok());
  EXPECT_EQ(CheckColumnLimit(2'001).message(),
            "a limit of columns, time included, is 2 to 2000, not 2001");
}

}  // namespace
}  // namespace sluice::storage

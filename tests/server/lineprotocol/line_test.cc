#include "server/lineprotocol/line.h"

#include <gtest/gtest.h>

namespace sluice::lineprotocol {
namespace {

TEST(TextTest, QuotesTenCharactersOfTheRest) {
  EXPECT_EQ(Text({SyntaxError::kTrailingContent, "0123456789"}),
            "Could not parse entire line. Found trailing content: `0123456789`");
  EXPECT_EQ(Text({SyntaxError::kTrailingContent, "0123456789a"}),
            "Could not parse entire line. Found trailing content: `0123456789...`");
  EXPECT_EQ(Text({SyntaxError::kExpectedTagValue, ""}), "Expected tag value, got end of input");
}

TEST(TextTest, BoundsWhatIsQuotedWhole) {
  std::string text = Text({SyntaxError::kExpectedSpace, std::string(100000, 'x')});
  EXPECT_LT(text.size(), 1200u);
  EXPECT_TRUE(text.ends_with("x...`"));
}

}  // namespace
}  // namespace sluice::lineprotocol

#include "server/lineprotocol/scan.h"

#include <gtest/gtest.h>

#include <random>

namespace sluice::lineprotocol {
namespace {

TEST(ScanTest, FindsWhatASearchOneByOneFinds) {
  std::mt19937 random(5);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const size_t size = random() % 150;
    // Mostly plain, so that vectors without a hit occur, and any byte.
    for (size_t i = 0; i < size; ++i) {
      text.push_back(random() % 40 == 0 ? static_cast<char>(random()) : 'x');
    }
    size_t end = 0;
    while (end<size&& static_cast<unsigned char>(text[end])> ' ' && text[end] != '\\') ++end;
    EXPECT_EQ(FindSeriesEnd(text), end);
    EXPECT_EQ(FindQuote(text), std::min(text.find_first_of("\"\\"), size));
    std::vector<uint32_t> expected;
    for (uint32_t i = 0; i < size; ++i) {
      if (text[i] == ',' || text[i] == '=') expected.push_back(i);
    }
    std::vector<uint32_t> found;
    FindDelimiters(text, found);
    EXPECT_EQ(found, expected);
  }
}

TEST(ScanTest, EveryByteIsSortedRight) {
  for (int c = 0; c < 256; ++c) {
    std::string text(64, 'x');
    text[40] = static_cast<char>(c);
    const bool ends = c <= ' ' || c == '\\';
    EXPECT_EQ(FindSeriesEnd(text), ends ? 40u : 64u) << c;
    EXPECT_EQ(FindQuote(text), c == '"' || c == '\\' ? 40u : 64u) << c;
  }
}

}  // namespace
}  // namespace sluice::lineprotocol

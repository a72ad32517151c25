#include "server/lineprotocol/line_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <vector>

namespace sluice::lineprotocol {
namespace {

// "line number: text", with "!" in front of a faulty one.
std::vector<std::string> Lines(const std::string& body) {
  std::vector<std::string> lines;
  LineReader reader(body);
  while (reader.Next()) {
    lines.push_back(
        fmt::format("{}{}: {}", reader.fault() ? "!" : "", reader.LineNumber(), reader.text()));
  }
  return lines;
}

using Texts = std::vector<std::string>;

TEST(LineReaderTest, NumbersPhysicalLines) {
  EXPECT_EQ(Lines("a f=1\n\n# comment\nb f=2\n   \nbad\n"),
            (Texts{"1: a f=1", "4: b f=2", "!6: bad"}));
}

TEST(LineReaderTest, AQuotedNewlineDoesNotStartALine) {
  EXPECT_EQ(Lines("a f=\"x\ny\" 1\nb f=1"), (Texts{"1: a f=\"x\ny\" 1", "3: b f=1"}));
}

TEST(LineReaderTest, AnEscapedNewlineDoesNotEndALine) {
  EXPECT_EQ(Lines("a\\\nb f=1\nc f=1"), (Texts{"1: a\\\nb f=1", "3: c f=1"}));
}

TEST(LineReaderTest, CarriageReturnsBeforeLineEndsAreIgnored) {
  EXPECT_EQ(Lines("a f=1\r\n\r\nb f=t 5\r\nbad\r\n# c\r\nc f=\"x\"\r"),
            (Texts{"1: a f=1", "3: b f=t 5", "!4: bad", "6: c f=\"x\""}));
}

TEST(LineReaderTest, ACarriageReturnElsewhereIsACharacter) {
  LineReader reader("a\rb f=1\n");
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.line().table, "a\rb");
}

TEST(LineReaderTest, BlanksBeforeALineAreIgnored) {
  EXPECT_EQ(Lines(" a f=1\n\tb f=2\n"), (Texts{"1:  a f=1", "2: \tb f=2"}));
}

TEST(LineReaderTest, ACommentStartsOnlyAtALinesStart) {
  EXPECT_EQ(Lines("a f=1 #x\n #b f=2\n#c\nd f=1"), (Texts{"!1: a f=1 #x", "4: d f=1"}));
}

TEST(LineReaderTest, AQuoteInACommentJoinsTheLinesAfterIt) {
  EXPECT_EQ(Lines("#c f=\"\nd f=1\ne f=1\"\nf f=1"), (Texts{"!2: d f=1\ne f=1\"", "4: f f=1"}));
}

TEST(LineReaderTest, KnowsWhereEachLineIs) {
  std::string body = "a f=1\nbad\n";
  LineReader reader(body);
  reader.Next();
  reader.Next();
  EXPECT_EQ(body.substr(reader.begin(), reader.end() - reader.begin()), "bad");
}

TEST(LineReaderTest, AnEmptyBodyHasNoLines) {
  EXPECT_EQ(Lines(""), Texts());
  EXPECT_EQ(Lines("\n\r\n \t\n#\n"), Texts());
}

TEST(LineReaderTest, AnUnendingQuoteTakesTheRestAsOneLine) {
  EXPECT_EQ(Lines("a f=1\nb f=\"x\nc f=1\n").size(), 2u);
}

}  // namespace
}  // namespace sluice::lineprotocol

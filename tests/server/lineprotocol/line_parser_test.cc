#include "server/lineprotocol/line_parser.h"

#include <gtest/gtest.h>

namespace sluice::lineprotocol {
namespace {

// What is wrong with a line; empty if nothing is.
std::string FaultOf(const std::string& text) {
  LineMemory memory;
  Line line;
  std::optional<SyntaxFault> fault = ParseLine(text, memory, line);
  return fault ? Text(*fault) : "";
}

constexpr char kBackslash[] =
    "Measurements, tag keys and values, and field keys may not end with a backslash";

TEST(ParseLineTest, UnescapesNames) {
  LineMemory memory;
  Line line;
  ASSERT_FALSE(ParseLine(R"(a\ b\,c\\d\=e,k\=1=v\,2,x\y=\\z f\ g="q\"r\\s\t" 5)", memory, line));
  EXPECT_EQ(line.table, R"(a b,c\d\=e)");
  EXPECT_EQ(line.tags[0].key, "k=1");
  EXPECT_EQ(line.tags[0].value, "v,2");
  EXPECT_EQ(line.tags[1].key, R"(x\y)");
  EXPECT_EQ(line.tags[1].value, R"(\z)");
  EXPECT_EQ(line.fields[0].key, "f g");
  EXPECT_EQ(line.fields[0].text, R"(q"r\s\t)");
  EXPECT_EQ(line.timestamp, 5);
}

TEST(ParseLineTest, ANameMayNotEndInABackslashEvenAnEscapedOne) {
  for (const char* text :
       {R"(a\)", R"(a\\ f=1)", R"(a,k\\=v f=1)", R"(a,k=v\\ f=1)", R"(a f\\=1)"}) {
    EXPECT_EQ(FaultOf(text), kBackslash) << text;
  }
}

TEST(ParseLineTest, ASingleTrailingCommaIsTakenAfterOneFieldOnly) {
  EXPECT_EQ(FaultOf("m f=1,"), "");
  EXPECT_EQ(FaultOf("m f=1,g=2,"), "Could not parse entire line. Found trailing content: `,`");
}

TEST(ParseLineTest, BlanksAfterTheLastSectionAreIgnored) {
  for (const char* text : {"m f=1 ", "m f=1\t", "m f=1 2 ", "m f=1 2\t \t", "m f=1, "}) {
    EXPECT_EQ(FaultOf(text), "") << text;
  }
}

TEST(ParseLineTest, AnInfiniteFloatIsNamedOnlyWhereNothingElseIsWrong) {
  EXPECT_EQ(FaultOf("m f=1e400"), "Unable to parse floating-point value `1e400`");
  EXPECT_EQ(FaultOf("m f=1e400 x"), "Could not parse entire line. Found trailing content: ` x`");
}

}  // namespace
}  // namespace sluice::lineprotocol

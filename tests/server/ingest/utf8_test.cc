#include "server/ingest/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice::ingest {
namespace {

std::string MessageOf(const std::string& body) { return std::string(CheckUtf8(body).message()); }

TEST(CheckUtf8Test, TakesUtf8) {
  for (const char* text : {"", "plain", "wärme", "日本", "\xF4\x8F\xBF\xBF", "\xED\x9F\xBF"}) {
    EXPECT_TRUE(CheckUtf8(text).ok()) << text;
  }
}

TEST(CheckUtf8Test, NamesTheFirstByteAtFault) {
  const std::string prefix =
      "body content is not valid utf8: invalid utf-8 sequence starting at index ";
  EXPECT_EQ(MessageOf("\xff"), prefix + "0");
  EXPECT_EQ(MessageOf("ab\x80"), prefix + "2");
  EXPECT_EQ(MessageOf("日\xe6\x97"), prefix + "3");
  EXPECT_EQ(MessageOf("a\xC0\xAF"), prefix + "1");
  EXPECT_EQ(MessageOf("a\xED\xA0\x80"), prefix + "1");
  EXPECT_EQ(MessageOf("a\xE0\x80\x80"), prefix + "1");
  EXPECT_EQ(MessageOf("a\xF4\x90\x80\x80"), prefix + "1");
  EXPECT_EQ(MessageOf("a\xF0\x9F\x98"), prefix + "1");
}

TEST(CutUtf8Test, NeverCutsACharacterInTwo) {
  EXPECT_EQ(CutUtf8("abc", 5), "abc");
  EXPECT_EQ(CutUtf8("abc", 2), "ab");
  EXPECT_EQ(CutUtf8("a日b", 1), "a");
  EXPECT_EQ(CutUtf8("a日b", 2), "a");
  EXPECT_EQ(CutUtf8("a日b", 3), "a");
  EXPECT_EQ(CutUtf8("a日b", 4), "a日");
}

}  // namespace
}  // namespace sluice::ingest

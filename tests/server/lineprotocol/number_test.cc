#include "server/lineprotocol/number.h"

#include <gtest/gtest.h>

#include <bit>

namespace sluice::lineprotocol {
namespace {

struct Read {
  size_t size = 0;
  Field field;
  std::optional<SyntaxFault> fault;
};

Read Scalar(std::string_view text) {
  Read read;
  read.size = ReadScalar(text, read.field, read.fault);
  return read;
}

void ExpectFloat(std::string_view text, double value, size_t size) {
  Read read = Scalar(text);
  EXPECT_EQ(read.size, size) << text;
  EXPECT_EQ(read.field.type, FieldType::kFloat) << text;
  EXPECT_EQ(std::bit_cast<double>(read.field.bits), value) << text;
  EXPECT_FALSE(read.fault) << text;
}

TEST(ReadScalarTest, TakesTheLongestFloat) {
  ExpectFloat("1", 1, 1);
  ExpectFloat("-1.5e3,", -1500, 6);
  ExpectFloat("1e-2 ", 0.01, 4);
  ExpectFloat("1.", 1, 1);
  ExpectFloat("1.e3", 1, 1);
  ExpectFloat("1e", 1, 1);
  ExpectFloat("1e+", 1, 1);
  ExpectFloat("-5u", -5, 2);
}

TEST(ReadScalarTest, ReadsIntegersBySuffix) {
  EXPECT_EQ(Scalar("-9223372036854775808i").field.bits, INT64_MIN);
  EXPECT_EQ(static_cast<uint64_t>(Scalar("18446744073709551615u").field.bits), UINT64_MAX);
  EXPECT_EQ(Scalar("007i").field.bits, 7);
}

TEST(ReadScalarTest, NumbersOutOfRangeAreFaults) {
  EXPECT_EQ(Scalar("9223372036854775808i").fault->error, SyntaxError::kIntegerOutOfRange);
  EXPECT_EQ(Scalar("18446744073709551616u").fault->error, SyntaxError::kUnsignedOutOfRange);
  EXPECT_EQ(Scalar("1e400").fault->error, SyntaxError::kFloatOutOfRange);
  EXPECT_EQ(Scalar("-1e400").fault->context, "-1e400");
}

TEST(ReadScalarTest, NumbersTooSmallForADoubleAreRounded) {
  ExpectFloat("1e-400", 0, 6);
  ExpectFloat("4e-324", 5e-324, 6);
}

TEST(ReadScalarTest, ReadsTheTenBooleansAndNoOther) {
  for (const char* text : {"t", "T", "true", "True", "TRUE"}) {
    Read read = Scalar(text);
    EXPECT_EQ(read.size, std::string_view(text).size());
    EXPECT_EQ(read.field.bits, 1);
  }
  for (const char* text : {"f", "F", "false", "False", "FALSE"}) {
    EXPECT_EQ(Scalar(text).field.bits, 0);
  }
  EXPECT_EQ(Scalar("tRUE").size, 1u);
  EXPECT_EQ(Scalar("yes").size, 0u);
}

TEST(ReadScalarTest, RefusesWhatIsNoNumber) {
  for (const char* text : {"", "+5", ".5", "-", "NaN", "inf", "-inf", "e5"}) {
    EXPECT_EQ(Scalar(text).size, 0u) << text;
  }
  EXPECT_EQ(Scalar("0x1F").size, 1u);
}

TEST(ReadTimestampTest, ReadsSignedIntegers) {
  int64_t time = 0;
  std::optional<SyntaxFault> fault;
  EXPECT_EQ(ReadTimestamp("-12 ", time, fault), 3u);
  EXPECT_EQ(time, -12);
  EXPECT_EQ(ReadTimestamp("+12", time, fault), 0u);
  EXPECT_FALSE(fault);
  ReadTimestamp("9223372036854775808", time, fault);
  EXPECT_EQ(fault->error, SyntaxError::kTimestampOutOfRange);
}

}  // namespace
}  // namespace sluice::lineprotocol

#include "server/influx/result_format.h"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::influx {
namespace {

std::string Format(std::string_view name, const std::vector<query::Row>& rows) {
  auto format = ResultFormat::Create(name).value();
  std::string out;
  format->PutColumns({{"a", ""}, {"b \"c\"", ""}}, out);
  for (const query::Row& row : rows) format->PutRow(row, out);
  format->PutEnd(out);
  return out;
}

const std::vector<query::Row> kRows = {
    {std::string_view("x,\"y\"\n"), 1.0},
    {std::monostate(), std::numeric_limits<uint64_t>::max()},
    {true, int64_t{-5}},
    {query::Blob{"\x01\xff"}, std::numeric_limits<double>::infinity()},
};

TEST(ResultFormatTest, Json) {
  EXPECT_EQ(Format("json", {}), "[]");
  EXPECT_EQ(Format("", kRows),
            "[{\"a\":\"x,\\\"y\\\"\\n\",\"b \\\"c\\\"\":1.0},"
            "{\"a\":null,\"b \\\"c\\\"\":18446744073709551615},"
            "{\"a\":true,\"b \\\"c\\\"\":-5},"
            "{\"a\":\"01ff\",\"b \\\"c\\\"\":null}]");
}

TEST(ResultFormatTest, JsonLines) {
  EXPECT_EQ(Format("jsonl", {{int64_t{1}, 2.5}, {int64_t{2}, 1e300}}),
            "{\"a\":1,\"b \\\"c\\\"\":2.5}\n{\"a\":2,\"b \\\"c\\\"\":1e+300}\n");
}

TEST(ResultFormatTest, Csv) {
  EXPECT_EQ(Format("csv", kRows),
            "a,\"b \"\"c\"\"\"\r\n\"x,\"\"y\"\"\n\",1.0\r\n,18446744073709551615\r\ntrue,-5\r\n"
            "01ff,inf\r\n");
}

TEST(ResultFormatTest, PrettyAlignsCharacters) {
  EXPECT_EQ(Format("pretty", {{std::string_view("日本"), int64_t{1}},
                              {std::string_view("abcd"), int64_t{10}}}),
            "+------+-------+\n"
            "| a    | b \"c\" |\n"
            "+------+-------+\n"
            "| 日本   | 1     |\n"
            "| abcd | 10    |\n"
            "+------+-------+\n");
  EXPECT_EQ(Format("pretty", {}), "+---+-------+\n| a | b \"c\" |\n+---+-------+\n+---+-------+\n");
}

TEST(ResultFormatTest, OtherNamesAreRefused) {
  EXPECT_EQ(ResultFormat::Create("xml").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::influx

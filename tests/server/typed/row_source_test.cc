#include "server/typed/row_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>

#include "server/ingest/bad_field.h"
#include "sluice/v1/points.pb.h"

namespace sluice::typed {
namespace {

using Item = ingest::PointSource::Item;

TEST(RowSourceTest, ReadsPointsAsTheyWereSent) {
  v1::RowBatch rows;
  v1::Point& point = *rows.add_points();
  point.set_table("home");
  for (const char* key : {"b", "a", "a"}) {
    v1::Tag& tag = *point.add_tags();
    tag.set_key(key);
    tag.set_value("v");
  }
  const auto add = [&](const char* key) -> v1::FieldValue& {
    v1::Field& field = *point.add_fields();
    field.set_key(key);
    return *field.mutable_value();
  };
  add("f").set_float_value(1.5);
  add("i").set_integer_value(-7);
  add("u").set_unsigned_value(~uint64_t{0});
  add("s").set_string_value("text\xff");
  add("t").set_boolean_value(true);
  add("none");
  point.add_fields()->set_key("absent");
  point.set_timestamp(-5);
  rows.add_points();
  const std::string bytes = rows.SerializeAsString();
  RowSource source(bytes);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(source.Rewind().ok());
    ASSERT_EQ(source.Next(), Item::kPoint);
    const ingest::Point& read = source.point();
    EXPECT_EQ(read.table, "home");
    ASSERT_EQ(read.tags.size(), 3u);
    EXPECT_EQ(read.tags[0].key, "b");
    EXPECT_EQ(read.tags[2].key, "a");
    EXPECT_EQ(read.tags[2].value, "v");
    ASSERT_EQ(read.fields.size(), 5u);
    EXPECT_EQ(std::bit_cast<double>(read.fields[0].bits), 1.5);
    EXPECT_EQ(read.fields[1].bits, -7);
    EXPECT_EQ(read.fields[1].type, ingest::FieldType::kInteger);
    EXPECT_EQ(read.fields[2].bits, -1);
    EXPECT_EQ(read.fields[2].type, ingest::FieldType::kUnsigned);
    EXPECT_EQ(read.fields[3].text, "text\xff");
    EXPECT_EQ(read.fields[4].bits, 1);
    EXPECT_EQ(read.timestamp, -5);
    ASSERT_EQ(source.Next(), Item::kPoint);
    EXPECT_EQ(source.point().table, "");
    EXPECT_FALSE(source.point().timestamp.has_value());
    EXPECT_EQ(source.Next(), Item::kEnd);
  }
}

TEST(RowSourceTest, OfTwoValuesTheLastOneCounts) {
  // key "k", then a value with an integer 1 (zigzag) and a boolean.
  const std::string field("\x0a\x01k\x12\x04\x10\x02\x28\x01", 9);
  const std::string point = std::string("\x1a\x09") + field;
  const std::string bytes = std::string("\x0a\x0b") + point;
  RowSource read(bytes);
  ASSERT_TRUE(read.Rewind().ok());
  ASSERT_EQ(read.Next(), Item::kPoint);
  ASSERT_EQ(read.point().fields.size(), 1u);
  EXPECT_EQ(read.point().fields[0].type, ingest::FieldType::kBoolean);
}

TEST(RowSourceTest, SaysWhichPointIsNone) {
  v1::RowBatch rows;
  rows.add_points()->set_table("home");
  std::string bytes = rows.SerializeAsString() + std::string("\x0a\x02\x0a\x07", 4);
  RowSource source(bytes);
  ASSERT_TRUE(source.Rewind().ok());
  EXPECT_EQ(source.Next(), Item::kPoint);
  EXPECT_EQ(source.Next(), Item::kBroken);
  EXPECT_EQ(ingest::FieldOf(source.error()), "rows.points[1]");
}

TEST(RowSourceTest, APointHasSoManyKeysAndABatchSoManyPoints) {
  const auto next = [](size_t tags) {
    v1::RowBatch rows;
    v1::Point& point = *rows.add_points();
    for (size_t i = 0; i < tags; ++i) point.add_tags();
    const std::string bytes = rows.SerializeAsString();
    RowSource source(bytes);
    source.Rewind().IgnoreError();
    return source.Next();
  };
  EXPECT_EQ(next(kMaxKeys), Item::kPoint);
  EXPECT_EQ(next(kMaxKeys + 1), Item::kBroken);
  for (size_t points : {kMaxBatchPoints, kMaxBatchPoints + 1}) {
    std::string bytes;
    for (size_t i = 0; i < points; ++i) bytes.append("\x0a\0", 2);
    RowSource source(bytes);
    source.Rewind().IgnoreError();
    Item item = Item::kPoint;
    while (item == Item::kPoint) item = source.Next();
    EXPECT_EQ(item, points == kMaxBatchPoints ? Item::kEnd : Item::kBroken);
    EXPECT_EQ(absl::IsResourceExhausted(source.error()), points > kMaxBatchPoints);
  }
}

}  // namespace
}  // namespace sluice::typed

#include "client/batch_builder.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/ingest/judge.h"
#include "server/typed/column_source.h"

namespace sluice::client {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

// How many points the server's own reader finds in a batch, and with how many values; or its error.
std::string Read(const SealedBatch& batch) {
  typed::ColumnSource source(batch.bytes);
  source.Rewind().IgnoreError();
  int points = 0;
  size_t values = 0;
  for (auto item = source.Next(); item != ingest::PointSource::Item::kEnd; item = source.Next()) {
    if (item == ingest::PointSource::Item::kBroken) return std::string(source.error().message());
    if (item == ingest::PointSource::Item::kColumns) {
      const absl::Status read = source.ReadColumns();
      if (!read.ok()) return std::string(read.message());
      source.SplitColumns();
      continue;
    }
    ++points;
    values += source.point().fields.size();
  }
  return fmt::format("{} points, {} values", points, values);
}

v1::ColumnBatch Parsed(const SealedBatch& batch) {
  v1::ColumnBatch parsed;
  EXPECT_TRUE(parsed.ParseFromString(batch.bytes));
  return parsed;
}

class BatchBuilderTest : public testing::Test {
 protected:
  Series Of(std::string_view table, std::initializer_list<TagView> tags = {}) {
    return *writer_.AddSeries(table, tags);
  }
  absl::Status Add(const Series& series, std::initializer_list<FieldView> fields,
                   uint64_t cookie = 0) {
    return builder_.Add(series, ++time_, std::span(fields.begin(), fields.size()), cookie);
  }

  // Only for its series.
  Writer writer_{"127.0.0.1:1", {}};
  BatchBuilder builder_;
  int64_t time_ = 0;
};

TEST_F(BatchBuilderTest, MakesOneTableOfRowsThatDifferInWhatTheyHave) {
  const Series hall = Of("home", {{"room", "hall"}});
  const Series site = Of("home", {{"room", "hall"}, {"site", "north"}});
  ASSERT_TRUE(Add(hall, {{"a", 1.0}}, 10).ok());
  ASSERT_TRUE(Add(site, {{"b", true}, {"a", 2.0}}, 11).ok());
  ASSERT_TRUE(Add(hall, {{"c", "text"}}, 12).ok());
  ASSERT_TRUE(Add(hall, {{"a", 3.0}, {"b", false}}, 13).ok());
  EXPECT_EQ(builder_.point_count(), 4u);
  const SealedBatch batch = builder_.Seal();
  EXPECT_TRUE(builder_.empty());
  EXPECT_EQ(Read(batch), "4 points, 6 values");
  EXPECT_THAT(batch.cookies, ElementsAre(10, 11, 12, 13));
  const v1::ColumnBatch parsed = Parsed(batch);
  ASSERT_THAT(parsed.tables(), SizeIs(1));
  EXPECT_EQ(parsed.tables(0).tag_set_count(), 2u);
  EXPECT_THAT(parsed.tables(0).row_tag_sets(), ElementsAre(0, 1, 0, 0));
  EXPECT_THAT(parsed.tables(0).tags(1).values(), ElementsAre(0, 1));
  EXPECT_EQ(parsed.tables(0).fields(0).validity(), "\x0b");
  EXPECT_EQ(parsed.tables(0).fields(1).validity(), "\x0a");
  EXPECT_EQ(parsed.tables(0).fields(1).booleans().bits(), "\x01");
  EXPECT_EQ(parsed.tables(0).fields(2).validity(), "\x04");
}

TEST_F(BatchBuilderTest, AFieldOfAnotherTypeBeginsTheTableAgain) {
  const Series m = Of("m");
  const Series other = Of("other");
  ASSERT_TRUE(Add(m, {{"f", 1.0}}, 1).ok());
  ASSERT_TRUE(Add(other, {{"f", 1.0}}, 2).ok());
  // The column that is new goes with it, and leaves nothing behind.
  ASSERT_TRUE(Add(m, {{"new", 1.0}, {"f", int64_t{2}}}, 3).ok());
  ASSERT_TRUE(Add(m, {{"f", int64_t{3}}}, 4).ok());
  ASSERT_TRUE(Add(m, {{"f", 4.0}}, 5).ok());
  const SealedBatch batch = builder_.Seal();
  EXPECT_EQ(Read(batch), "5 points, 6 values");
  EXPECT_THAT(Parsed(batch).tables(), SizeIs(4));
  EXPECT_THAT(Parsed(batch).tables(0).fields(), SizeIs(1));
  // As the server counts them: the rows of the first table, then of the second.
  EXPECT_THAT(batch.cookies, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(BatchBuilderTest, NoTableHasMoreKeysThanTheServerTakes) {
  std::vector<std::string> keys;
  for (int i = 0; i < 5000; ++i) keys.push_back(fmt::format("f{}", i));
  const Series m = Of("m", {{"t", "a"}});
  for (const std::string& key : keys) ASSERT_TRUE(Add(m, {{key, 1.0}}).ok());
  std::vector<FieldView> fields;
  // With the tag as many as there may be.
  for (size_t i = 0; i < 4095; ++i) fields.push_back({keys[i], int64_t{1}});
  ASSERT_TRUE(builder_.Add(m, ++time_, fields, 0).ok());
  fields.push_back({"one", 1.0});
  EXPECT_EQ(builder_.Add(m, ++time_, fields, 0).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(BatchBuilder::Check(m, fields).code(), absl::StatusCode::kInvalidArgument);
  const SealedBatch batch = builder_.Seal();
  const v1::ColumnBatch parsed = Parsed(batch);
  for (const v1::TableBatch& table : parsed.tables()) {
    EXPECT_LE(table.tags_size() + table.fields_size(), 4096);
  }
  EXPECT_EQ(Read(batch), "5001 points, 9095 values");
}

TEST_F(BatchBuilderTest, NoTableHasMoreValuesThanTheServerTakes) {
  std::vector<std::string> keys;
  for (int i = 0; i < 4000; ++i) keys.push_back(fmt::format("f{}", i));
  std::vector<FieldView> fields;
  for (const std::string& key : keys) fields.push_back({key, true});
  const Series m = Of("m");
  ASSERT_TRUE(builder_.Add(m, ++time_, fields, 0).ok());
  // 16,000 rows of 4,000 columns are 64 million.
  for (int i = 1; i < 16'000; ++i) ASSERT_TRUE(Add(m, {{keys[0], true}}).ok());
  ASSERT_TRUE(Add(m, {{keys[0], true}}).ok());
  const SealedBatch batch = builder_.Seal();
  const v1::ColumnBatch parsed = Parsed(batch);
  ASSERT_THAT(parsed.tables(), SizeIs(2));
  EXPECT_EQ(parsed.tables(0).row_count(), 16'000u);
  EXPECT_EQ(Read(batch), "16001 points, 20000 values");
}

// Columns and sets have something for each row before as well.
TEST_F(BatchBuilderTest, WhatIsNewAfterManyBeginsAnotherTable) {
  std::vector<std::string> names;
  for (int i = 0; i < 20'000; ++i) names.push_back(fmt::format("n{}", i));
  for (size_t i = 0; i < 10'000; ++i)
    ASSERT_TRUE(Add(Of("m", {{"a", names[i]}}), {{"f", 1.0}}).ok());
  for (size_t i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(Add(Of("m", {{"a", names[i]}, {"b", "x"}}), {{"f", 1.0}}).ok());
    ASSERT_TRUE(Add(Of("m", {{"a", names[i]}}), {{"f", 1.0}}).ok());
  }
  const size_t bytes = builder_.bytes();
  const SealedBatch batch = builder_.Seal();
  EXPECT_THAT(Parsed(batch).tables(), SizeIs(2));
  EXPECT_GE(bytes, batch.bytes.size());
  EXPECT_EQ(Read(batch), "30000 points, 30000 values");
}

TEST_F(BatchBuilderTest, ItIsNeverLargerThanItSays) {
  std::vector<std::string> keys;
  for (int i = 0; i < 300; ++i) keys.push_back(fmt::format("k{}", i));
  // Columns that end early, and some that begin late.
  std::vector<FieldView> fields;
  for (const std::string& key : keys) fields.push_back({key, true});
  ASSERT_TRUE(builder_.Add(Of("m"), ++time_, fields, 0).ok());
  for (size_t i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(Add(Of("m", {{keys[i % 300], "x"}}), {{keys[i * i % 300], true}}).ok());
  }
  const size_t bytes = builder_.bytes();
  const SealedBatch batch = builder_.Seal();
  EXPECT_GE(bytes, batch.bytes.size());
  EXPECT_EQ(Read(batch), "20001 points, 20300 values");
}

TEST_F(BatchBuilderTest, SmallIntegersAreSentSmall) {
  const Series m = Of("m");
  ASSERT_TRUE(Add(m, {{"small", int64_t{-5}}, {"large", int64_t{5}}}).ok());
  ASSERT_TRUE(Add(m, {{"small", int64_t{100}}, {"large", int64_t{1} << 40}}).ok());
  const v1::ColumnBatch parsed = Parsed(builder_.Seal());
  EXPECT_THAT(parsed.tables(0).fields(0).integers().compact_values(), ElementsAre(-5, 100));
  EXPECT_THAT(parsed.tables(0).fields(1).integers().values(), ElementsAre(5, int64_t{1} << 40));
}

TEST_F(BatchBuilderTest, WhatItSaysOfItsSizeIsAboutRight) {
  const Series m = Of("m", {{"host", "a"}});
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(Add(m, {{"f", 1.5 * i}, {"s", std::string_view("some text")}}).ok());
  }
  const size_t bytes = builder_.bytes();
  const size_t sealed = builder_.Seal().bytes.size();
  EXPECT_GE(bytes, sealed);
  EXPECT_LE(bytes, 2 * sealed);
}

TEST(LinesBuilderTest, KnowsWhosePointsTheyAre) {
  LinesBuilder builder;
  builder.Add(*ReadLines("# a\nm f=1 1\nm f=2 2"), 7);
  builder.Add(*ReadLines("m f=\"two\nlines\" 3\nbad\n"), 8);
  EXPECT_FALSE(ReadLines("\n#\n").ok());
  // What would go on into the next lines, also from a comment.
  for (const char* open : {"m f=\"a", "m f=1\n# a=\"\n", "m f=1\n# a=\"", "m f=1 1\\"}) {
    EXPECT_TRUE(ReadLines(open)->is_open_ended) << open;
  }
  EXPECT_FALSE(ReadLines("m f=1\n# a=1\n")->is_open_ended);
  EXPECT_EQ(builder.point_count(), 4u);
  const SealedBatch batch = builder.Seal();
  EXPECT_TRUE(builder.empty());
  EXPECT_EQ(batch.bytes, "# a\nm f=1 1\nm f=2 2\nm f=\"two\nlines\" 3\nbad\n");
  builder.Add(*ReadLines("m f=1"), 7);
  EXPECT_EQ(builder.Seal().bytes, "m f=1");
  EXPECT_THAT(batch.AllCookies(), ElementsAre(7, 7, 8, 8));
  EXPECT_EQ(batch.CookieOf(1), 7u);
  EXPECT_EQ(batch.CookieOf(2), 8u);
  EXPECT_EQ(batch.LineIn(1, 3), 3);
  EXPECT_EQ(batch.LineIn(3, 6), 3);
}

}  // namespace
}  // namespace sluice::client

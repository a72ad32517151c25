#include "storage/block/series_key.h"

#include <gtest/gtest.h>

#include "storage/block/block_encoder.h"

namespace sluice::storage {
namespace {

using Tags = std::vector<std::optional<std::string>>;

std::string Key(const Tags& tags) {
  std::string key;
  for (const auto& tag : tags) tag ? AppendTagToKey(key, *tag) : AppendNoTagToKey(key);
  return key;
}

TEST(SeriesKeyTest, SortsAsTheTagsDo) {
  const std::string zero(1, '\0');
  const std::vector<Tags> ascending = {
      {{}, {}},   {{}, "b"},  {zero, "z"},       {zero + zero, "a"}, {zero + "\x01", "a"},
      {"a", {}},  {"a", "a"}, {"a", "b"},        {"a" + zero, {}},   {"a\x01", {}},
      {"aa", {}}, {"b", {}},  {"\xc3\xa9", "a"},
  };
  for (size_t i = 1; i < ascending.size(); ++i) {
    EXPECT_LT(Key(ascending[i - 1]), Key(ascending[i])) << i;
  }
}

TablePtr Table() {
  auto table = std::make_shared<TableSchema>(1, "t");
  table->Add("a", ColumnType::kTag);
  table->Add("f", ColumnType::kInteger);
  table->Add("b", ColumnType::kTag);
  return table;
}

SeriesBound BoundOf(const std::vector<Tags>& sets) {
  TableBatch batch(Table());
  for (const Tags& tags : sets) {
    const uint32_t set = batch.AddSet();
    if (tags[0]) batch.AddTag(0, *tags[0]);
    if (tags[1]) batch.AddTag(2, *tags[1]);
    batch.AddRow(set, 1);
    batch.AddNumber(1, 1);
  }
  const EncodedBlock bytes = EncodeBlock(batch);
  const Block block = Block::Open(bytes.directory).value();
  EXPECT_EQ(TagColumns(*Table()), (std::vector<size_t>{0, 2}));
  SeriesBound bound = LowerBound(block, TagColumns(*Table()));
  for (const Tags& tags : sets) EXPECT_LE(bound.key, Key(tags));
  return bound;
}

TEST(SeriesKeyTest, ABlockOfOneSeriesIsBoundByItsKey) {
  for (const Tags& tags : {Tags{"x", "y"}, Tags{"x", {}}, Tags{{}, {}}}) {
    SeriesBound bound = BoundOf({tags, tags});
    EXPECT_TRUE(bound.is_whole);
    EXPECT_EQ(bound.key, Key(tags));
  }
}

TEST(SeriesKeyTest, ABlockOfSeveralIsBoundByWhatTheyShare) {
  EXPECT_FALSE(BoundOf({{"x", "y"}, {"x", "z"}}).is_whole);
  EXPECT_GT(BoundOf({{"x", "y"}, {"x", "z"}}).key, Key({"x", {}}));
  EXPECT_FALSE(BoundOf({{"x", "y"}, {"w", "z"}}).is_whole);
  EXPECT_EQ(BoundOf({{{}, "y"}, {"w", "z"}}).key, "");
  const std::string wide(100, 'x');
  EXPECT_FALSE(BoundOf({{wide, "y"}}).is_whole);
}

}  // namespace
}  // namespace sluice::storage

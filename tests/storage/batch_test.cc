#include "storage/batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace sluice::storage {
namespace {

TablePtr Home() {
  auto home = std::make_shared<TableSchema>(1, "home");
  home->Add("room", ColumnType::kTag);
  home->Add("temp", ColumnType::kInteger);
  home->Add("note", ColumnType::kString);
  return home;
}

TEST(DictionaryTest, GivesEveryTextOnePositionInOrderOfAppearance) {
  Dictionary dictionary;
  for (int round = 0; round < 2; ++round) {
    for (uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(dictionary.Intern(fmt::format("v{}", i)), i);
  }
  EXPECT_EQ(dictionary.strings().size(), 1000u);
  EXPECT_EQ(dictionary.strings()[7], "v7");
  dictionary.Clear();
  EXPECT_EQ(dictionary.Intern("v9"), 0u);
}

TEST(DictionaryTest, FindsManyTextsAtOnceAsOneByOne) {
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i * i % 1777));
  Dictionary one;
  Dictionary many;
  std::vector<uint32_t> expected;
  std::vector<uint32_t> positions;
  size_t begin = 0;
  for (size_t count : {0, 1, 7, 2, 16, 17, 1000, 1957}) {
    std::vector<std::string_view> views(texts.begin() + begin, texts.begin() + begin + count);
    for (std::string_view view : views) expected.push_back(one.Intern(view));
    many.Intern(views, positions);
    begin += count;
  }
  EXPECT_EQ(begin, texts.size());
  EXPECT_EQ(positions, expected);
  EXPECT_EQ(many.strings().bytes(), one.strings().bytes());
}

TEST(TableBatchTest, KeepsOnlyPresentValues) {
  TableBatch batch(Home());
  batch.AddRow(batch.AddSet(), 10);
  batch.AddNumber(1, 5);
  const uint32_t hall = batch.AddSet();
  batch.AddTag(0, "hall");
  batch.AddRow(hall, 20);
  batch.AddString(2, "a");
  batch.AddRow(hall, 30);
  batch.AddNumber(1, 6);
  ASSERT_EQ(batch.columns().size(), 3u);
  EXPECT_EQ(batch.row_count(), 3u);
  EXPECT_EQ(batch.row_sets(), (std::vector<int64_t>{0, 1, 1}));
  EXPECT_FALSE(batch.columns()[0].Present().Get(0));
  EXPECT_TRUE(batch.columns()[0].Present().Get(1));
  EXPECT_EQ(batch.columns()[1].numbers(), (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(batch.columns()[1].Present().words(), std::vector<uint64_t>{0b101});
  EXPECT_EQ(batch.columns()[2].Present().words(), std::vector<uint64_t>{0b010});
}

TEST(TableBatchTest, CopiesChosenRows) {
  TableBatch batch(Home());
  for (const char* room : {"even", "odd"}) {
    batch.AddSet();
    batch.AddTag(0, room);
  }
  for (int64_t i = 0; i < 100; ++i) {
    batch.AddRow(static_cast<uint32_t>(i % 2), i);
    if (i % 3 == 0) batch.AddNumber(1, i);
    batch.AddString(2, std::string(static_cast<size_t>(i % 5), 'x'));
  }
  TableBatch copy(Home());
  RowIndex(batch).CopyRows(std::vector<uint32_t>{1, 3, 99}, copy);
  EXPECT_EQ(copy.timestamps(), (std::vector<int64_t>{1, 3, 99}));
  EXPECT_EQ(copy.set_count(), 1u);
  EXPECT_EQ(copy.columns()[0].dictionary().strings()[0], "odd");
  EXPECT_EQ(copy.columns()[1].numbers(), (std::vector<int64_t>{3, 99}));
  EXPECT_FALSE(copy.columns()[1].Present().Get(0));
  EXPECT_EQ(copy.columns()[2].strings()[2], "xxxx");
}

// Any number of rows at once, behind any others, comes to the same as row by row.
TEST(TableBatchTest, ManyRowsAtOnceAreAsRowByRow) {
  std::minstd_rand random(7);
  for (int round = 0; round < 300; ++round) {
    TableBatch one(Home());
    TableBatch many(Home());
    for (int part = 0; part < 4; ++part) {
      const size_t rows = random() % 150;
      const bool gaps = random() % 2 == 0;
      std::vector<int64_t> times;
      std::vector<int64_t> numbers;
      std::vector<std::string> texts;
      std::string present((rows + 7) / 8, 0);
      std::vector<uint32_t> values;
      const uint32_t sets = 1 + random() % 5;
      const std::vector<std::string_view> rooms = {"unused", "hall", "attic"};
      const uint32_t first_set = one.set_count();
      for (uint32_t set = 0; set < sets; ++set) {
        one.AddSet();
        values.push_back(random() % 2 == 0 ? 0 : 2 + random() % 2);
        if (values.back() > 0) one.AddTag(0, rooms[values.back() - 1]);
      }
      std::vector<int64_t> row_sets;
      for (size_t row = 0; row < rows; ++row) {
        row_sets.push_back(first_set + random() % sets);
        times.push_back(static_cast<int64_t>(random()));
        one.AddRow(static_cast<uint32_t>(row_sets.back()), times.back());
        if (gaps && random() % 3 == 0) continue;
        present[row / 8] = static_cast<char>(present[row / 8] | 1 << (row % 8));
        numbers.push_back(static_cast<int64_t>(random()));
        one.AddNumber(1, numbers.back());
        texts.push_back(std::to_string(random() % 9));
        one.AddString(2, texts.back());
      }
      const PackedBits bits(gaps ? std::string_view(present) : std::string_view());
      EXPECT_EQ(many.AddSets(sets), first_set);
      const size_t first_row = many.AddRows(row_sets, times);
      many.column(0).AddTags(first_set, rooms, values);
      many.column(1).AddNumbers(first_row, bits, Packed<int64_t>(numbers));
      const std::vector<std::string_view> views(texts.begin(), texts.end());
      many.column(2).AddStrings(first_row, bits, views, {});
    }
    EXPECT_EQ(one.timestamps(), many.timestamps());
    EXPECT_EQ(one.row_sets(), many.row_sets());
    for (size_t c = 0; c < one.columns().size(); ++c) {
      const BatchColumn& a = one.columns()[c];
      const BatchColumn& b = many.columns()[c];
      const size_t count = c == 0 ? one.set_count() : one.row_count();
      for (size_t i = 0; i < count; ++i) EXPECT_EQ(a.Present().Get(i), b.Present().Get(i));
      EXPECT_EQ(a.numbers(), b.numbers());
      EXPECT_EQ(a.strings().bytes(), b.strings().bytes());
      EXPECT_EQ(a.dictionary().strings().bytes(), b.dictionary().strings().bytes());
    }
  }
}

TEST(TableBatchTest, TellsWhatTagsTakeWhereBlocksRepeatThem) {
  TableBatch batch(Home());
  const std::string text(1000, 'x');
  batch.AddSet();
  batch.AddTag(0, text);
  for (int i = 0; i < 5; ++i) batch.AddRow(0, i);
  EXPECT_EQ(RepeatedTagBytes(batch, 1), 0u);
  EXPECT_EQ(RepeatedTagBytes(batch, 3), 2000u);
  // No more than if every row had them for itself.
  EXPECT_EQ(RepeatedTagBytes(batch, 100), 5000u);
  for (size_t i = 5; i < 2 * kMaxBlockRows; ++i) batch.AddRow(0, 0);
  EXPECT_EQ(RepeatedTagBytes(batch, 1), 2000u);
}

TEST(TableBatchTest, BooleansAndNumberedTextsAreTakenAtOnce) {
  auto table = std::make_shared<TableSchema>(1, "t");
  table->Add("b", ColumnType::kBoolean);
  table->Add("s", ColumnType::kString);
  TableBatch batch(table);
  batch.AddSet();
  const size_t first = batch.AddRows(std::vector<int64_t>(3), std::vector<int64_t>{1, 2, 3});
  batch.column(0).AddBooleans(first, PackedBits("\x05"), 2, PackedBits("\x02"));
  const std::vector<uint32_t> numbers = {1, 0, 1};
  batch.column(1).AddStrings(first, {}, std::vector<std::string_view>{"x", "yy"},
                             Packed<uint32_t>(numbers));
  EXPECT_EQ(batch.columns()[0].numbers(), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(batch.columns()[0].Present().words(), std::vector<uint64_t>{0b101});
  EXPECT_EQ(batch.columns()[1].strings().bytes(), "yyxyy");
}

TEST(BitmapRankTest, CountsThePresentRowsBefore) {
  Bitmap bitmap;
  for (size_t i : {0, 5, 63, 64, 130}) bitmap.Set(i);
  BitmapRank rank(bitmap);
  EXPECT_EQ(rank.count(), 5u);
  EXPECT_EQ(rank.Of(bitmap, 0), 0u);
  EXPECT_EQ(rank.Of(bitmap, 63), 2u);
  EXPECT_EQ(rank.Of(bitmap, 64), 3u);
  EXPECT_EQ(rank.Of(bitmap, 130), 4u);
}

}  // namespace
}  // namespace sluice::storage

#include "server/typed/column_source.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <random>

#include "server/ingest/bad_field.h"
#include "server/ingest/judge.h"
#include "server/typed/row_source.h"
#include "sluice/v1/points.pb.h"

namespace sluice::typed {
namespace {

using ingest::Judge;
using ingest::PointSource;
using Item = PointSource::Item;

// Two rows of two sets, every kind of field.
v1::ColumnBatch Sound() {
  v1::ColumnBatch batch;
  v1::TableBatch& table = *batch.add_tables();
  table.set_table("home");
  table.set_row_count(2);
  table.add_timestamps(10);
  table.add_timestamps(20);
  table.set_tag_set_count(2);
  table.add_row_tag_sets(1);
  table.add_row_tag_sets(0);
  v1::TagColumn& room = *table.add_tags();
  room.set_key("room");
  room.add_dictionary("hall");
  room.add_dictionary("attic");
  room.add_values(2);
  room.add_values(0);
  v1::TagColumn& site = *table.add_tags();
  site.set_key("site");
  site.add_dictionary("north");
  const auto field = [&](const char* key) -> v1::FieldColumn& {
    v1::FieldColumn& column = *table.add_fields();
    column.set_key(key);
    return column;
  };
  v1::FieldColumn& temp = field("temp");
  temp.mutable_floats()->add_values(1.5);
  temp.mutable_floats()->add_values(2.5);
  v1::FieldColumn& count = field("count");
  count.set_validity(std::string("\x02", 1));
  count.mutable_integers()->add_values(-3);
  v1::FieldColumn& small = field("small");
  small.mutable_integers()->add_compact_values(4);
  small.mutable_integers()->add_compact_values(-5);
  v1::FieldColumn& total = field("total");
  total.mutable_unsigneds()->add_values(6);
  total.mutable_unsigneds()->add_values(~uint64_t{0});
  v1::FieldColumn& note = field("note");
  note.mutable_strings()->add_values("x");
  note.mutable_strings()->add_indexes(0);
  note.mutable_strings()->add_indexes(0);
  v1::FieldColumn& open = field("open");
  open.mutable_booleans()->set_count(2);
  open.mutable_booleans()->set_bits(std::string("\x01", 1));
  return batch;
}

// The error that makes a batch none; OK where there is none.
absl::Status ErrorOf(const v1::ColumnBatch& batch) {
  const std::string bytes = batch.SerializeAsString();
  ColumnSource source(bytes);
  source.Rewind().IgnoreError();
  while (true) {
    switch (source.Next()) {
      case Item::kEnd:
        return absl::OkStatus();
      case Item::kBroken:
        return source.error();
      case Item::kColumns: {
        const absl::Status read = source.ReadColumns();
        if (!read.ok()) return read;
        break;
      }
      default:
        break;
    }
  }
}

TEST(ColumnSourceTest, ReadsColumnsAndTheirPoints) {
  const std::string bytes = Sound().SerializeAsString();
  ColumnSource source(bytes);
  ASSERT_TRUE(source.Rewind().ok());
  ASSERT_EQ(source.Next(), Item::kColumns);
  EXPECT_GT(source.columns_bytes(), bytes.size());
  ASSERT_TRUE(source.ReadColumns().ok());
  EXPECT_EQ(source.columns()->rows, 2u);
  source.SplitColumns();
  ASSERT_EQ(source.Next(), Item::kPoint);
  ingest::Point point = source.point();
  EXPECT_EQ(point.table, "home");
  EXPECT_EQ(point.timestamp, 10);
  ASSERT_EQ(point.tags.size(), 1u);
  EXPECT_EQ(point.tags[0].key, "site");
  ASSERT_EQ(point.fields.size(), 5u);
  EXPECT_EQ(std::bit_cast<double>(point.fields[0].bits), 1.5);
  EXPECT_EQ(point.fields[4].bits, 1);
  ASSERT_EQ(source.Next(), Item::kPoint);
  point = source.point();
  EXPECT_EQ(point.timestamp, 20);
  ASSERT_EQ(point.tags.size(), 2u);
  EXPECT_EQ(point.tags[0].value, "attic");
  EXPECT_EQ(point.tags[1].value, "north");
  ASSERT_EQ(point.fields.size(), 6u);
  EXPECT_EQ(point.fields[1].bits, -3);
  EXPECT_EQ(point.fields[2].bits, -5);
  EXPECT_EQ(point.fields[3].bits, -1);
  EXPECT_EQ(point.fields[4].text, "x");
  EXPECT_EQ(point.fields[5].bits, 0);
  EXPECT_EQ(source.Next(), Item::kEnd);
}

// W-81. Every length and number of a sound batch, changed.
TEST(ColumnSourceTest, WhatDoesNotAddUpIsNamedByItsPath) {
  ASSERT_TRUE(ErrorOf(Sound()).ok());
  using Change = std::function<void(v1::TableBatch&)>;
  const std::vector<std::pair<std::string, Change>> changes = {
      {"timestamps", [](auto& t) { t.add_timestamps(1); }},
      {"timestamps", [](auto& t) { t.mutable_timestamps()->RemoveLast(); }},
      {"timestamps", [](auto& t) { t.set_row_count(3); }},
      {"timestamps", [](auto& t) { t.set_row_count(1); }},
      {"timestamps", [](auto& t) { t.set_row_count(0); }},
      {"row_tag_sets", [](auto& t) { t.add_row_tag_sets(0); }},
      {"row_tag_sets", [](auto& t) { t.set_row_tag_sets(1, 2); }},
      {"row_tag_sets", [](auto& t) { t.set_row_tag_sets(0, ~uint32_t{0}); }},
      {"row_tag_sets",
       [](auto& t) {
         t.clear_row_tag_sets();
         t.set_tag_set_count(3);
         t.mutable_tags(0)->add_values(0);
       }},
      {"tag_set_count", [](auto& t) { t.set_tag_set_count(0); }},
      {"tag_set_count",
       [](auto& t) {
         t.set_tag_set_count(~uint32_t{0});
         t.mutable_tags(0)->clear_values();
       }},
      {"tags[0].values", [](auto& t) { t.mutable_tags(0)->add_values(1); }},
      {"tags[0].values", [](auto& t) { t.mutable_tags(0)->set_values(0, 3); }},
      {"tags[0].dictionary", [](auto& t) { t.mutable_tags(0)->clear_values(); }},
      {"tags[1].dictionary", [](auto& t) { t.mutable_tags(1)->clear_dictionary(); }},
      {"tags[1].key", [](auto& t) { t.mutable_tags(1)->set_key("room"); }},
      {"fields[1].key", [](auto& t) { t.mutable_fields(1)->set_key("temp"); }},
      {"fields[0].floats.values",
       [](auto& t) { t.mutable_fields(0)->mutable_floats()->add_values(1); }},
      {"fields[0].values", [](auto& t) { t.mutable_fields(0)->clear_values(); }},
      {"fields[1].validity", [](auto& t) { t.mutable_fields(1)->set_validity("\x02\x01"); }},
      {"fields[1].validity", [](auto& t) { t.mutable_fields(1)->set_validity("\x06"); }},
      {"fields[1].integers.values", [](auto& t) { t.mutable_fields(1)->set_validity("\x03"); }},
      {"fields[1].integers.values", [](auto& t) { t.mutable_fields(1)->clear_validity(); }},
      {"fields[2].integers.compact_values",
       [](auto& t) { t.mutable_fields(2)->mutable_integers()->add_compact_values(1); }},
      {"fields[2].integers.compact_values",
       [](auto& t) { t.mutable_fields(2)->mutable_integers()->add_values(1); }},
      {"fields[3].unsigneds.values",
       [](auto& t) { t.mutable_fields(3)->mutable_unsigneds()->clear_values(); }},
      {"fields[4].strings.indexes",
       [](auto& t) { t.mutable_fields(4)->mutable_strings()->add_indexes(0); }},
      {"fields[4].strings.indexes",
       [](auto& t) { t.mutable_fields(4)->mutable_strings()->set_indexes(0, 1); }},
      {"fields[4].strings.values",
       [](auto& t) { t.mutable_fields(4)->mutable_strings()->clear_indexes(); }},
      {"fields[5].booleans.count",
       [](auto& t) { t.mutable_fields(5)->mutable_booleans()->set_count(3); }},
      {"fields[5].booleans.bits",
       [](auto& t) { t.mutable_fields(5)->mutable_booleans()->set_bits("\x01\x01"); }},
      {"fields[5].booleans.bits",
       [](auto& t) { t.mutable_fields(5)->mutable_booleans()->set_bits("\x04"); }},
      {"row_count",
       [](auto& t) {
         t.clear_timestamps();
         t.clear_fields();
       }},
  };
  for (const auto& [path, change] : changes) {
    v1::ColumnBatch batch = Sound();
    batch.add_tables()->Swap(batch.mutable_tables(0));
    change(*batch.mutable_tables(1));
    const absl::Status error = ErrorOf(batch);
    EXPECT_TRUE(absl::IsInvalidArgument(error)) << path;
    EXPECT_EQ(ingest::FieldOf(error), "columns.tables[1]." + path) << error;
  }
}

TEST(ColumnSourceTest, WhatIsNoMessageIsNamedToo) {
  const std::string bytes = Sound().SerializeAsString();
  for (size_t size = 1; size < bytes.size(); ++size) {
    ColumnSource source(std::string_view(bytes).substr(0, size));
    source.Rewind().IgnoreError();
    const Item item = source.Next();
    EXPECT_TRUE(item == Item::kBroken || !source.ReadColumns().ok()) << size;
  }
}

TEST(ColumnSourceTest, OfTwoKindsOfValuesTheLastOneCounts) {
  v1::ColumnBatch batch = Sound();
  v1::FieldColumn floats = batch.tables(0).fields(0);
  // A field's number and length, then the other kind.
  v1::FieldColumn other;
  other.mutable_booleans()->set_count(2);
  other.mutable_booleans()->set_bits(std::string("\x02", 1));
  v1::FieldColumn merged;
  ASSERT_TRUE(merged.ParseFromString(floats.SerializeAsString() + other.SerializeAsString()));
  EXPECT_TRUE(merged.has_booleans());
  *batch.mutable_tables(0)->mutable_fields(0) = merged;
  EXPECT_TRUE(ErrorOf(batch).ok());
}

TEST(ColumnSourceTest, ABatchHasSoManyPoints) {
  const auto error = [](uint32_t rows) {
    v1::ColumnBatch batch;
    for (uint32_t part : {rows - 1, 1u}) {
      v1::TableBatch& table = *batch.add_tables();
      table.set_row_count(part);
      v1::FieldColumn& field = *table.add_fields();
      field.mutable_booleans()->set_count(part);
      field.mutable_booleans()->set_bits(std::string((part + 7) / 8, '\0'));
    }
    return ErrorOf(batch);
  };
  EXPECT_TRUE(error(kMaxBatchPoints).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(error(kMaxBatchPoints + 1)));
  v1::ColumnBatch lie;
  lie.add_tables()->set_row_count(~uint32_t{0});
  EXPECT_TRUE(absl::IsResourceExhausted(ErrorOf(lie)));
}

// Before anything is read it is known what that takes.
TEST(ColumnSourceTest, WhatTextsAndIntegersTakeIsToldBeforeTheyAreRead) {
  v1::ColumnBatch batch;
  v1::TableBatch& table = *batch.add_tables();
  for (int i = 0; i < 1000; ++i) table.add_tags()->add_dictionary();
  v1::FieldColumn& strings = *table.add_fields();
  for (int i = 0; i < 5000; ++i) strings.mutable_strings()->add_values();
  v1::FieldColumn& integers = *table.add_fields();
  for (int i = 0; i < 5000; ++i) integers.mutable_integers()->add_compact_values(0);
  const std::string bytes = batch.SerializeAsString();
  ColumnSource source(bytes);
  source.Rewind().IgnoreError();
  ASSERT_EQ(source.Next(), Item::kColumns);
  EXPECT_GT(source.columns_bytes(), 1000 * 300 + 5000 * 16 + 5000 * 8);
}

// What the points of a source come to: those that are rejected, and all that is taken, row by row.
struct Result {
  std::vector<std::string> rejected;
  std::map<std::string, std::vector<std::string>> rows;
};

std::string RowOf(const storage::TableBatch& batch, size_t row) {
  std::map<std::string, std::string> values;
  const auto set = static_cast<size_t>(batch.row_sets()[row]);
  for (size_t c = 0; c < batch.columns().size(); ++c) {
    const storage::BatchColumn& column = batch.columns()[c];
    const bool tag = column.type() == storage::ColumnType::kTag;
    const size_t owner = tag ? set : row;
    const storage::Bitmap present = column.Present();
    if (!present.Get(owner)) continue;
    const size_t at = storage::BitmapRank(present).Of(present, owner);
    values[batch.table()->columns()[c].name] =
        tag ? std::string(column.dictionary().strings()[static_cast<size_t>(column.numbers()[at])])
        : column.type() == storage::ColumnType::kString ? std::string(column.strings()[at])
                                                        : std::to_string(column.numbers()[at]);
  }
  std::string text = std::to_string(batch.timestamps()[row]);
  for (const auto& [name, value] : values) text += fmt::format(" {}={}", name, value);
  return text;
}

Result ResultOf(PointSource& points, bool split, const ingest::JudgeOptions& options,
                const storage::DatabaseSchema& schema, int* at_once) {
  Result result;
  Judge judge(std::make_shared<storage::DatabaseSchema>(schema), options);
  points.Rewind().IgnoreError();
  int64_t index = 0;
  for (Item item = points.Next(); item != Item::kEnd; item = points.Next()) {
    EXPECT_NE(item, Item::kBroken) << points.error();
    if (item == Item::kBroken) return result;
    if (item == Item::kColumns) {
      const absl::Status read = points.ReadColumns();
      EXPECT_TRUE(read.ok()) << read;
      if (!read.ok()) return result;
      if (!split && judge.AddColumns(*points.columns())) {
        index += static_cast<int64_t>(points.columns()->rows);
        ++*at_once;
      } else {
        points.SplitColumns();
      }
      continue;
    }
    if (auto objection = judge.Add(points.point())) {
      result.rejected.push_back(
          fmt::format("{} {} {}", index, objection->message, objection->column));
    }
    ++index;
  }
  const storage::WriteSet write = judge.Finish();
  for (const storage::TableBatch& batch : write.batches) {
    std::string columns = "columns:";
    for (const storage::Column& column : batch.table()->columns()) {
      columns += fmt::format(" {}:{}", column.name, storage::Name(column.type));
    }
    std::vector<std::string>& rows = result.rows[batch.table()->name()];
    rows.push_back(columns);
    for (size_t row = 0; row < batch.row_count(); ++row) rows.push_back(RowOf(batch, row));
  }
  return result;
}

// Random batches, some with faults of every kind.
class RandomBatch {
 public:
  explicit RandomBatch(uint32_t seed) : random_(seed) {}

  v1::ColumnBatch Make() {
    faults_ = OneIn(2);
    v1::ColumnBatch batch;
    for (size_t i = 0; i < 1 + Below(3); ++i) MakeTable(*batch.add_tables());
    return batch;
  }

 private:
  size_t Below(size_t end) { return random_() % end; }
  bool OneIn(size_t n) { return Below(n) == 0; }
  bool Fault() { return faults_ && OneIn(12); }

  std::string Text(const char* prefix, size_t kinds) {
    if (Fault()) return OneIn(2) ? "" : "bad\xff";
    return fmt::format("{}{}", prefix, Below(kinds));
  }

  void MakeTable(v1::TableBatch& table) {
    const size_t rows = Below(30);
    table.set_table(Fault() ? Text("", 1) : Text("t", 2));
    table.set_row_count(static_cast<uint32_t>(rows));
    if (!OneIn(6)) {
      for (size_t i = 0; i < rows; ++i) {
        table.add_timestamps(Fault() ? -1 : static_cast<int64_t>(Below(100)) * 40'000'000'000'000);
      }
    }
    size_t sets = rows == 0 ? 0 : OneIn(4) ? rows : Below(5);
    if (sets > 1 && sets != rows) {
      for (size_t i = 0; i < rows; ++i) table.add_row_tag_sets(static_cast<uint32_t>(Below(sets)));
    }
    table.set_tag_set_count(static_cast<uint32_t>(sets));
    for (size_t i = 0; sets > 0 && i < 1 + Below(3); ++i) MakeTag(table, sets, i);
    for (size_t i = 0; i < 1 + Below(5); ++i) MakeField(table, rows, i);
  }

  void MakeTag(v1::TableBatch& table, size_t sets, size_t i) {
    v1::TagColumn& tag = *table.add_tags();
    const bool reserved = i == 0 && Fault();
    tag.set_key(reserved ? "time" : Fault() ? fmt::format("f{}", i) : fmt::format("tag{}", i));
    if (i > 0 && OneIn(3)) {
      tag.add_dictionary(Text("all", 2));
      return;
    }
    for (size_t j = 0; j < 3; ++j) tag.add_dictionary(Text("v", 9));
    for (size_t j = 0; j < sets; ++j) tag.add_values(static_cast<uint32_t>(Below(4)));
  }

  void MakeField(v1::TableBatch& table, size_t rows, size_t i) {
    v1::FieldColumn& field = *table.add_fields();
    field.set_key(Fault() ? (OneIn(2) ? fmt::format("time{}", i).substr(0, i == 0 ? 4 : 5)
                                      : fmt::format("\xff{}", i))
                          : fmt::format("f{}", i));
    size_t count = rows;
    if (OneIn(3)) {
      std::string validity((rows + 7) / 8, '\0');
      count = 0;
      for (size_t row = 0; row < rows; ++row) {
        if (OneIn(4)) continue;
        validity[row / 8] = static_cast<char>(validity[row / 8] | 1 << (row % 8));
        ++count;
      }
      field.set_validity(validity);
    }
    // The same type mostly.
    switch (Fault() ? Below(6) : i) {
      case 0:
        field.mutable_floats();
        for (size_t j = 0; j < count; ++j) {
          field.mutable_floats()->add_values(Fault() ? std::nan("") : static_cast<double>(j));
        }
        break;
      case 1:
        field.mutable_integers();
        for (size_t j = 0; j < count; ++j) field.mutable_integers()->add_values(-7);
        break;
      case 2:
        field.mutable_integers();
        for (size_t j = 0; j < count; ++j) field.mutable_integers()->add_compact_values(70000);
        break;
      case 3:
        field.mutable_strings();
        for (size_t j = 0; j < count; ++j) field.mutable_strings()->add_values(Text("s", 3));
        break;
      case 4:
        field.mutable_booleans()->set_count(static_cast<uint32_t>(count));
        field.mutable_booleans()->set_bits(std::string((count + 7) / 8, '\0'));
        break;
      default:
        field.mutable_strings()->add_values(Text("dictionary", 3));
        for (size_t j = 0; j < count; ++j) field.mutable_strings()->add_indexes(0);
        if (count == 0) field.mutable_strings()->clear_values();
        break;
    }
  }

  std::minstd_rand random_;
  bool faults_ = false;
};

// W-80: columns taken at once come to the same as their points one by one, whatever is wrong.
TEST(ColumnSourceTest, ColumnsComeToTheSameAsTheirPoints) {
  storage::DatabaseSchema schema;
  auto known = std::make_shared<storage::TableSchema>(1, "t0");
  known->Add("tag0", storage::ColumnType::kTag);
  known->Add("f1", storage::ColumnType::kInteger);
  schema = schema.With({known});
  int at_once = 0;
  int rejected = 0;
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    const std::string bytes = RandomBatch(seed).Make().SerializeAsString();
    const ingest::JudgeOptions options = {
        .limits = {.max_tables = seed % 5 == 0 ? 1u : 10u,
                   .max_columns = seed % 7 == 0 ? 5u : 50u,
                   .max_days = seed % 11 == 0 ? 3u : 1000u},
        .precision =
            seed % 4 == 0 ? ingest::Precision::kMicrosecond : ingest::Precision::kNanosecond,
        .arrival_ns = 1'000'000,
        .min_time_ns = seed % 3 == 0 ? 0 : std::numeric_limits<int64_t>::min()};
    ColumnSource source(bytes);
    const Result columns = ResultOf(source, false, options, schema, &at_once);
    const Result points = ResultOf(source, true, options, schema, &at_once);
    EXPECT_EQ(columns.rejected, points.rejected) << seed;
    for (auto& [name, rows] : points.rows) {
      ASSERT_TRUE(columns.rows.contains(name)) << seed;
      std::vector<std::string> a = rows;
      std::vector<std::string> b = columns.rows.at(name);
      // New columns may come in another order.
      std::sort(a[0].begin(), a[0].end());
      std::sort(b[0].begin(), b[0].end());
      EXPECT_EQ(a, b) << seed;
    }
    EXPECT_EQ(columns.rows.size(), points.rows.size()) << seed;
    rejected += static_cast<int>(points.rejected.size());
  }
  EXPECT_GT(at_once, 2000);
  EXPECT_GT(rejected, 5000);
}

}  // namespace
}  // namespace sluice::typed

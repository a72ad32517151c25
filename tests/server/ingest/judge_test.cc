#include "server/ingest/judge.h"

#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "server/lineprotocol/line_reader.h"

namespace sluice::ingest {
namespace {

using storage::ColumnType;
using storage::DatabaseSchema;
using storage::TableSchema;

class JudgeTest : public testing::Test {
 protected:
  // Adds each line; the message for the last, empty if it was taken.
  std::string Add(const std::string& text) {
    if (!judge_)
      judge_.emplace(std::make_shared<DatabaseSchema>(schema_),
                     JudgeOptions{.limits = limits_, .arrival_ns = 1});
    lineprotocol::LineReader reader(text);
    EXPECT_TRUE(reader.Next());
    EXPECT_FALSE(reader.fault()) << text;
    // Numbers are of one reader; here every line has its own.
    Point line = reader.line();
    line.series = line.shape = line.tag_keys = kNoNumber;
    std::optional<Objection> objection = judge_->Add(line);
    return objection ? objection->message : "";
  }

  void Exists(const std::string& name, std::vector<storage::Column> columns) {
    auto table = std::make_shared<TableSchema>(schema_.next_table_id(), name);
    for (const auto& column : columns) table->Add(column.name, column.type);
    schema_ = schema_.With({table});
  }

  DatabaseSchema schema_;
  Limits limits_;
  std::optional<Judge> judge_;
};

TEST_F(JudgeTest, TheFirstAcceptedLineFixesTheTypes) {
  EXPECT_EQ(Add("home,room=a temp=1"), "");
  EXPECT_EQ(Add("home,room=a temp=\"x\""),
            "field type conflict: column 'temp' of table 'home' is float, the line has string");
  EXPECT_EQ(Add("home,temp=a v=1"),
            "field type conflict: column 'temp' of table 'home' is float, the line has tag");
  EXPECT_EQ(Add("home room=1i"),
            "field type conflict: column 'room' of table 'home' is tag, the line has integer");
}

TEST_F(JudgeTest, ARejectedLineLeavesNeitherTableNorColumn) {
  Exists("home", {{"temp", ColumnType::kFloat}});
  EXPECT_NE(Add("home,new=a other=1,temp=1i"), "");
  EXPECT_NE(Add("ghost,time=a f=1"), "");
  EXPECT_EQ(Add("home temp=2"), "");
  storage::WriteSet write = judge_->Finish();
  ASSERT_EQ(write.batches.size(), 1u);
  EXPECT_EQ(write.batches[0].row_count(), 1u);
}

TEST_F(JudgeTest, ATypeThatARejectedLineWouldHaveFixedIsStillFree) {
  EXPECT_NE(Add("home a=1,b=1,b=2i"), "");
  EXPECT_EQ(Add("home a=\"now a string\""), "");
}

TEST_F(JudgeTest, RepeatedKeysAreJudged) {
  EXPECT_EQ(Add("home,room=a,room=a temp=1"), "the tag 'room' is specified more than once");
  EXPECT_EQ(Add("home temp=1,temp=2i"),
            "the field 'temp' is specified more than once, with different types");
  EXPECT_EQ(Add("home a=1 "), "");
  EXPECT_EQ(Add("home temp=1,a=3,temp=2"), "");
  storage::WriteSet write = judge_->Finish();
  const storage::BatchColumn& temp = write.batches[0].columns()[1];
  ASSERT_EQ(temp.numbers().size(), 1u);
  EXPECT_EQ(std::bit_cast<double>(temp.numbers()[0]), 2.0);
}

TEST_F(JudgeTest, AKeyThatIsTagAndFieldInOneLineIsAConflict) {
  EXPECT_EQ(Add("home,a=x a=1"),
            "field type conflict: column 'a' of table 'home' is tag, the line has float");
}

TEST_F(JudgeTest, TimeIsNoTagAndAFieldOfThatNameIsDropped) {
  EXPECT_EQ(Add("home,time=a f=1"), "a tag cannot be named 'time'");
  EXPECT_EQ(Add("home time=1"), "the line has no field besides 'time', which is not stored");
  EXPECT_EQ(Add("home time=1,f=2"), "");
  storage::WriteSet write = judge_->Finish();
  ASSERT_EQ(write.batches.size(), 1u);
  EXPECT_EQ(write.batches[0].table()->columns(),
            (std::vector<storage::Column>{{"f", ColumnType::kFloat}}));
}

TEST_F(JudgeTest, TheColumnLimitCountsTimeAndNamesTableCountAndLimit) {
  limits_.max_columns = 3;
  EXPECT_EQ(Add("home,room=a temp=1"), "");
  EXPECT_EQ(Add("home,room=a temp=1,hum=2"),
            "column 'hum' would be one too many: table 'home' has 3 columns, the limit is 3, time "
            "included");
  EXPECT_EQ(Add("home,room=b temp=1"), "");
}

TEST_F(JudgeTest, TheTableLimitNamesTableCountAndLimit) {
  limits_.max_tables = 2;
  Exists("old", {{"f", ColumnType::kFloat}});
  EXPECT_EQ(Add("new f=1"), "");
  EXPECT_EQ(Add("more f=1"),
            "table 'more' would be one too many: the database has 2 tables, the limit is 2");
  EXPECT_EQ(Add("old f=1"), "");
  EXPECT_EQ(Add("new f=1"), "");
}

TEST_F(JudgeTest, ATableThatOnlyRejectedLinesNamedDoesNotCount) {
  limits_.max_tables = 1;
  EXPECT_NE(Add("ghost,time=x f=1"), "");
  EXPECT_EQ(Add("real f=1"), "");
}

TEST_F(JudgeTest, ALineOfVeryManyColumnsIsRefusedSoon) {
  std::string line = "home ";
  for (int i = 0; i < 200000; ++i) line += "f" + std::to_string(i) + "=1,";
  line += "last=1";
  EXPECT_EQ(Add(line),
            "column 'f249' would be one too many: table 'home' has 250 columns, the limit is 250, "
            "time included");
}

TEST_F(JudgeTest, NewTablesHaveNoIdYet) {
  Exists("old", {{"f", ColumnType::kFloat}});
  Add("old f=1");
  Add("a f=1");
  storage::WriteSet write = judge_->Finish();
  ASSERT_EQ(write.batches.size(), 2u);
  for (const storage::TableBatch& batch : write.batches) {
    EXPECT_EQ(batch.table()->id() == TableSchema::kNoId, batch.table()->name() == "a");
  }
}

// What no line of line protocol can say.
class PointTest : public testing::Test {
 protected:
  std::optional<Reason> Add(const Point& point) {
    std::optional<Objection> objection = judge_.Add(point);
    return objection ? std::optional(objection->reason) : std::nullopt;
  }
  Point Of(std::string_view table) const { return {.table = table, .fields = fields_}; }

  Judge judge_{std::make_shared<DatabaseSchema>(), {}};
  std::vector<Field> fields_ = {{.key = "f", .type = FieldType::kInteger, .bits = 1}};
};

constexpr std::string_view kNoText = "\xff\xfe";

TEST_F(PointTest, NamesAreThereAndUtf8AndNotTooLong) {
  EXPECT_EQ(Add(Of("")), Reason::kEmptyName);
  EXPECT_EQ(Add(Of(kNoText)), Reason::kNotUtf8);
  EXPECT_EQ(Add(Of(std::string(kMaxNameBytes + 1, 'x'))), Reason::kValueTooLong);
  EXPECT_EQ(Add(Of(std::string(kMaxNameBytes, 'x'))), std::nullopt);
  for (auto [name, reason] : std::vector<std::pair<std::string, std::optional<Reason>>>{
           {"", Reason::kEmptyName},
           {std::string(kNoText), Reason::kNotUtf8},
           {std::string(kMaxNameBytes + 1, 'x'), Reason::kValueTooLong},
           {std::string(kMaxNameBytes, 'x'), std::nullopt}}) {
    const std::vector<Tag> tags = {{name, "v"}};
    EXPECT_EQ(Add({.table = "tags", .tags = tags, .fields = fields_}), reason) << name.size();
    const std::vector<Field> fields = {{.key = name, .type = FieldType::kBoolean}};
    EXPECT_EQ(Add({.table = "fields", .tags = {}, .fields = fields}), reason) << name.size();
  }
}

TEST_F(PointTest, ValuesAreFiniteAndUtf8AndNotTooLongHoweverWellTheirKeysAreKnown) {
  const auto number = [](double value) {
    return Field{.key = "f", .type = FieldType::kFloat, .bits = std::bit_cast<int64_t>(value)};
  };
  const auto text = [](std::string_view value) {
    return Field{.key = "s", .type = FieldType::kString, .bits = 0, .text = value};
  };
  const std::string longest(kMaxStringBytes, 'x');
  const std::string too_long(kMaxStringBytes + 1, 'x');
  for (int known = 0; known < 2; ++known) {
    const uint32_t n = known == 0 ? kNoNumber : 0;
    const auto add = [&](Field field) {
      const std::vector<Field> fields = {field};
      const bool is_text = field.type == FieldType::kString;
      return Add({.table = is_text ? "texts" : "numbers",
                  .tags = {},
                  .fields = fields,
                  .timestamp = 5,
                  .series = n == kNoNumber ? n : n + is_text,
                  .tag_keys = n == kNoNumber ? n : n + is_text,
                  .shape = n == kNoNumber ? n : n + is_text});
    };
    EXPECT_EQ(add(number(1)), std::nullopt);
    EXPECT_EQ(add(number(std::numeric_limits<double>::infinity())), Reason::kNumberOutOfRange);
    EXPECT_EQ(add(number(std::numeric_limits<double>::quiet_NaN())), Reason::kNumberOutOfRange);
    EXPECT_EQ(add(number(std::numeric_limits<double>::max())), std::nullopt);
    EXPECT_EQ(add(text("x")), std::nullopt);
    EXPECT_EQ(add(text(too_long)), Reason::kValueTooLong);
    EXPECT_EQ(add(text(longest)), std::nullopt);
    EXPECT_EQ(add(text(kNoText)), Reason::kNotUtf8);
  }
}

TEST_F(PointTest, TagValuesAreUtf8AndNotTooLongAndAnEmptyOneIsNoTag) {
  const std::string too_long(kMaxNameBytes + 1, 'x');
  const auto add = [&](std::string_view value, uint32_t series) {
    const std::vector<Tag> tags = {{"a", value}, {"b", "there"}};
    return Add({.table = "t",
                .tags = tags,
                .fields = fields_,
                .timestamp = 5,
                .series = series,
                .tag_keys = 0,
                .shape = 0});
  };
  EXPECT_EQ(add("x", 0), std::nullopt);
  EXPECT_EQ(add(too_long, 1), Reason::kValueTooLong);
  EXPECT_EQ(add(kNoText, 2), Reason::kNotUtf8);
  EXPECT_EQ(add("", 3), std::nullopt);
  EXPECT_EQ(add("y", 4), std::nullopt);
  storage::WriteSet write = judge_.Finish();
  ASSERT_EQ(write.batches.size(), 1u);
  EXPECT_EQ(write.batches[0].columns()[0].Present().words(), (std::vector<uint64_t>{0b101}));
  EXPECT_EQ(write.batches[0].columns()[1].present_count(), 3u);
}

TEST_F(PointTest, OneWithoutFieldsIsRejected) {
  EXPECT_EQ(Add({.table = "t", .tags = {}, .fields = {}}), Reason::kNoFields);
}

// Reads all lines by one reader, which numbers what they have in common; the messages, and what was
// drafted.
std::pair<std::vector<std::string>, storage::WriteSet> AddBody(const std::string& body) {
  Judge judge(std::make_shared<DatabaseSchema>(), {.check_utf8 = false});
  lineprotocol::LineReader reader(body);
  std::vector<std::string> messages;
  for (int64_t time = 0; reader.Next(); ++time) {
    Point point = reader.line();
    point.timestamp = time;
    std::optional<Objection> objection = judge.Add(point);
    messages.push_back(objection ? objection->message : "");
  }
  return {messages, judge.Finish()};
}

TEST(JudgeOfABodyTest, WhatIsRecognisedIsJudgedLikeWhatIsNew) {
  // Padding, since the last bytes of a body are not predicted.
  const std::string padding(200, ' ');
  auto [messages, write] = AddBody(
      "cpu,host=a,rack=1 user=1i,load=2.5\n"
      "cpu,host=b,rack=1 user=2i,load=3.5\n"
      "cpu,host=a,rack=1 user=3i,load=4.5\n"
      "cpu,host=a,rack=1 user=4.0,load=4.5\n"
      "cpu,host=c,user=1 user=5i,load=4.5\n"
      "cpu,host=b,rack=1 load=5.5,user=6i\n"
      "cpu,host=b,rack=1 user=7i\n"
      "cpu,host=d,host=e user=7i\n"
      "cpu,host=b,rack=1 user=8i,load=6.5" +
      padding + "\n");
  EXPECT_EQ(messages, (std::vector<std::string>{
                          "", "", "",
                          "field type conflict: column 'user' of table 'cpu' is integer, the line "
                          "has float",
                          "field type conflict: column 'user' of table 'cpu' is integer, the line "
                          "has tag",
                          "", "", "the tag 'host' is specified more than once", ""}));
  ASSERT_EQ(write.batches.size(), 1u);
  const storage::TableBatch& batch = write.batches[0];
  EXPECT_EQ(batch.timestamps(), (std::vector<int64_t>{0, 1, 2, 5, 6, 8}));
  EXPECT_EQ(batch.columns()[2].numbers(), (std::vector<int64_t>{1, 2, 3, 6, 7, 8}));
  EXPECT_EQ(batch.columns()[3].present_count(), 5u);
  EXPECT_FALSE(batch.columns()[3].Present().Get(4));
}

TEST(JudgeOfABodyTest, ARejectedLineOfAKnownSeriesLeavesNothing) {
  auto [messages, write] = AddBody(
      "cpu,host=a user=1i 1\n"
      "cpu,host=b user=x 2\n"
      "cpu,host=a user=\"text\" 3\n"
      "mem,host=a used=t 4\n"
      "mem,host=a used=1i 5\n" +
      std::string(200, ' '));
  ASSERT_EQ(write.batches.size(), 2u);
  for (const storage::TableBatch& batch : write.batches) {
    EXPECT_EQ(batch.row_count(), 1u);
    EXPECT_EQ(batch.set_count(), 1u);
  }
}

TEST(DayOfTest, DaysBeginAtMidnightFromTheFirstTimeToTheLast) {
  EXPECT_EQ(DayOf(0), 0);
  EXPECT_EQ(DayOf(kDayNs - 1), 0);
  EXPECT_EQ(DayOf(kDayNs), 1);
  EXPECT_EQ(DayOf(-1), -1);
  EXPECT_EQ(DayOf(-kDayNs), -1);
  EXPECT_EQ(DayOf(-kDayNs - 1), -2);
  EXPECT_EQ(DayOf(std::numeric_limits<int64_t>::min()), -106752);
  EXPECT_EQ(DayOf(std::numeric_limits<int64_t>::max()), 106751);
}

TEST_F(JudgeTest, TheFirstAndTheLastDayThereAreCountOnce) {
  limits_.max_days = 2;
  for (const char* time : {"-9223372036854775808", "-9223372036854775807", "9223372036854775807",
                           "9223372036854775806", "-9223372036854775806"}) {
    EXPECT_EQ(Add(std::string("m f=1 ") + time), "") << time;
  }
  EXPECT_NE(Add("m f=1 0"), "");
}

}  // namespace
}  // namespace sluice::ingest

#include "server/ingest/draft.h"

#include <gtest/gtest.h>

#include "server/lineprotocol/line_reader.h"

namespace sluice::ingest {
namespace {

using storage::ColumnType;
using storage::DatabaseSchema;
using storage::TableSchema;

class DraftTest : public testing::Test {
 protected:
  // Adds each line; the message for the last, empty if it was taken.
  std::string Add(const std::string& text) {
    if (!draft_) draft_.emplace(std::make_shared<DatabaseSchema>(schema_), limits_);
    lineprotocol::LineReader reader(text);
    EXPECT_TRUE(reader.Next());
    EXPECT_FALSE(reader.fault()) << text;
    // Numbers are of one reader; here every line has its own.
    lineprotocol::Line line = reader.line();
    line.series = line.shape = lineprotocol::kNoNumber;
    std::optional<Objection> objection = draft_->Add(line, 1);
    return objection ? objection->message : "";
  }

  void Exists(const std::string& name, std::vector<storage::Column> columns) {
    auto table = std::make_shared<TableSchema>(schema_.next_table_id(), name);
    for (const auto& column : columns) table->Add(column.name, column.type);
    schema_ = schema_.With({table});
  }

  DatabaseSchema schema_;
  Limits limits_;
  std::optional<Draft> draft_;
};

TEST_F(DraftTest, TheFirstAcceptedLineFixesTheTypes) {
  EXPECT_EQ(Add("home,room=a temp=1"), "");
  EXPECT_EQ(Add("home,room=a temp=\"x\""),
            "field type conflict: column 'temp' of table 'home' is float, the line has string");
  EXPECT_EQ(Add("home,temp=a v=1"),
            "field type conflict: column 'temp' of table 'home' is float, the line has tag");
  EXPECT_EQ(Add("home room=1i"),
            "field type conflict: column 'room' of table 'home' is tag, the line has integer");
}

TEST_F(DraftTest, ARejectedLineLeavesNeitherTableNorColumn) {
  Exists("home", {{"temp", ColumnType::kFloat}});
  EXPECT_NE(Add("home,new=a other=1,temp=1i"), "");
  EXPECT_NE(Add("ghost,time=a f=1"), "");
  EXPECT_EQ(Add("home temp=2"), "");
  storage::WriteSet write = draft_->Finish();
  EXPECT_TRUE(write.changed_tables.empty());
  ASSERT_EQ(write.batches.size(), 1u);
  EXPECT_EQ(write.batches[0].row_count(), 1u);
}

TEST_F(DraftTest, ATypeThatARejectedLineWouldHaveFixedIsStillFree) {
  EXPECT_NE(Add("home a=1,b=1,b=2i"), "");
  EXPECT_EQ(Add("home a=\"now a string\""), "");
}

TEST_F(DraftTest, RepeatedKeysAreJudged) {
  EXPECT_EQ(Add("home,room=a,room=a temp=1"), "the tag 'room' is specified more than once");
  EXPECT_EQ(Add("home temp=1,temp=2i"),
            "the field 'temp' is specified more than once, with different types");
  EXPECT_EQ(Add("home a=1 "), "");
  EXPECT_EQ(Add("home temp=1,a=3,temp=2"), "");
  storage::WriteSet write = draft_->Finish();
  const storage::BatchColumn& temp = write.batches[0].columns()[1];
  ASSERT_EQ(temp.numbers().size(), 1u);
  EXPECT_EQ(std::bit_cast<double>(temp.numbers()[0]), 2.0);
}

TEST_F(DraftTest, AKeyThatIsTagAndFieldInOneLineIsAConflict) {
  EXPECT_EQ(Add("home,a=x a=1"),
            "field type conflict: column 'a' of table 'home' is tag, the line has float");
}

TEST_F(DraftTest, TimeIsNoTagAndAFieldOfThatNameIsDropped) {
  EXPECT_EQ(Add("home,time=a f=1"), "a tag cannot be named 'time'");
  EXPECT_EQ(Add("home time=1"), "the line has no field besides 'time', which is not stored");
  EXPECT_EQ(Add("home time=1,f=2"), "");
  storage::WriteSet write = draft_->Finish();
  ASSERT_EQ(write.changed_tables.size(), 1u);
  EXPECT_EQ(write.changed_tables[0]->columns(),
            (std::vector<storage::Column>{{"f", ColumnType::kFloat}}));
}

TEST_F(DraftTest, TheColumnLimitCountsTimeAndNamesTableCountAndLimit) {
  limits_.max_columns = 3;
  EXPECT_EQ(Add("home,room=a temp=1"), "");
  EXPECT_EQ(Add("home,room=a temp=1,hum=2"),
            "column 'hum' would be one too many: table 'home' has 3 columns, the limit is 3, time "
            "included");
  EXPECT_EQ(Add("home,room=b temp=1"), "");
}

TEST_F(DraftTest, TheTableLimitNamesTableCountAndLimit) {
  limits_.max_tables = 2;
  Exists("old", {{"f", ColumnType::kFloat}});
  EXPECT_EQ(Add("new f=1"), "");
  EXPECT_EQ(Add("more f=1"),
            "table 'more' would be one too many: the database has 2 tables, the limit is 2");
  EXPECT_EQ(Add("old f=1"), "");
  EXPECT_EQ(Add("new f=1"), "");
}

TEST_F(DraftTest, ATableThatOnlyRejectedLinesNamedDoesNotCount) {
  limits_.max_tables = 1;
  EXPECT_NE(Add("ghost,time=x f=1"), "");
  EXPECT_EQ(Add("real f=1"), "");
}

TEST_F(DraftTest, ALineOfVeryManyColumnsIsRefusedSoon) {
  std::string line = "home ";
  for (int i = 0; i < 200000; ++i) line += "f" + std::to_string(i) + "=1,";
  line += "last=1";
  EXPECT_EQ(Add(line),
            "column 'f249' would be one too many: table 'home' has 250 columns, the limit is 250, "
            "time included");
}

TEST_F(DraftTest, NewTablesGetTheNextIds) {
  Exists("old", {{"f", ColumnType::kFloat}});
  Add("a f=1");
  Add("b f=1");
  storage::WriteSet write = draft_->Finish();
  std::vector<uint32_t> ids;
  for (const auto& table : write.changed_tables) ids.push_back(table->id());
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<uint32_t>{2, 3}));
}

// Reads all lines by one reader, which numbers what they have in common; the messages, and what was
// drafted.
std::pair<std::vector<std::string>, storage::WriteSet> AddBody(const std::string& body) {
  Draft draft(std::make_shared<DatabaseSchema>(), {});
  lineprotocol::LineReader reader(body);
  std::vector<std::string> messages;
  for (int64_t time = 0; reader.Next(); ++time) {
    std::optional<Objection> objection = draft.Add(reader.line(), time);
    messages.push_back(objection ? objection->message : "");
  }
  return {messages, draft.Finish()};
}

TEST(DraftOfABodyTest, WhatIsRecognisedIsJudgedLikeWhatIsNew) {
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

TEST(DraftOfABodyTest, ARejectedLineOfAKnownSeriesLeavesNothing) {
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

}  // namespace
}  // namespace sluice::ingest

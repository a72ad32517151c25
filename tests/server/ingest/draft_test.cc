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

}  // namespace
}  // namespace sluice::ingest

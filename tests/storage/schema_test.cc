#include "storage/schema.h"

#include <gtest/gtest.h>

namespace sluice::storage {
namespace {

TableSchema Home() {
  TableSchema home(3, "home");
  home.Add("room", ColumnType::kTag);
  home.Add("temp", ColumnType::kFloat);
  home.Add("count", ColumnType::kUnsigned);
  return home;
}

TEST(TableSchemaTest, FindsColumnsByNameAtTheirPositions) {
  TableSchema home = Home();
  EXPECT_EQ(home.Find("room"), 0u);
  EXPECT_EQ(home.Find("count"), 2u);
  EXPECT_EQ(home.Find("Room"), std::nullopt);
}

TEST(TableSchemaTest, ReadsBackItsStoredForm) {
  auto read = TableSchema::Decode(Home().Encode());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->id(), 3u);
  EXPECT_EQ(read->name(), "home");
  EXPECT_EQ(read->columns(), Home().columns());
}

TEST(TableSchemaTest, RefusesADamagedStoredForm) {
  std::string bytes = Home().Encode();
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(TableSchema::Decode(bytes.substr(0, size)).status().code(),
              absl::StatusCode::kDataLoss);
  }
  bytes.back() = 9;
  EXPECT_FALSE(TableSchema::Decode(bytes).ok());
}

TEST(DatabaseSchemaTest, AChangeMakesANewOneAndLeavesTheOldAlone) {
  DatabaseSchema empty;
  DatabaseSchema one = empty.With({std::make_shared<TableSchema>(Home())});
  EXPECT_EQ(empty.Find("home"), nullptr);
  EXPECT_EQ(empty.table_count(), 0u);
  ASSERT_NE(one.Find("home"), nullptr);
  EXPECT_EQ(one.mark(), empty.mark() + 1);
  EXPECT_EQ(one.next_table_id(), 4u);
}

TEST(DatabaseSchemaTest, ListsTablesByName) {
  DatabaseSchema schema = DatabaseSchema().With({std::make_shared<TableSchema>(2, "b"),
                                                 std::make_shared<TableSchema>(1, "c"),
                                                 std::make_shared<TableSchema>(5, "a")});
  std::vector<std::string> names;
  for (const TablePtr& table : schema.Tables()) names.push_back(table->name());
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "c"}));
}

}  // namespace
}  // namespace sluice::storage

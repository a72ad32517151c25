#include "server/query/functions.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <string>
#include <vector>

namespace sluice::query {
namespace {

class FunctionsTest : public testing::Test {
 protected:
  FunctionsTest() {
    sqlite3_open(":memory:", &ours_);
    sqlite3_open(":memory:", &original_);
    EXPECT_EQ(RegisterFunctions(ours_), SQLITE_OK);
  }
  ~FunctionsTest() override {
    sqlite3_close(ours_);
    sqlite3_close(original_);
  }

  static std::string Eval(sqlite3* connection, const std::string& expression) {
    sqlite3_stmt* statement = nullptr;
    std::string sql = "SELECT typeof(x) || ':' || quote(x) FROM (SELECT " + expression + " AS x)";
    sqlite3_prepare_v2(connection, sql.c_str(), -1, &statement, nullptr);
    bool row = sqlite3_step(statement) == SQLITE_ROW;
    std::string result = row ? reinterpret_cast<const char*>(sqlite3_column_text(statement, 0))
                             : sqlite3_errmsg(connection);
    sqlite3_finalize(statement);
    return result;
  }
  std::string Eval(const std::string& expression) { return Eval(ours_, expression); }

  sqlite3* ours_ = nullptr;
  sqlite3* original_ = nullptr;
};

TEST_F(FunctionsTest, GiveWhatSqlitesOwnGive) {
  const std::vector<std::string> values = {"NULL",      "''",       "'a'",       "'ab'", "'abcab'",
                                           "'日本a日'", "'日'",     "12312",     "1.5",  "x'6162'",
                                           "x'62'",     "'  ab  '", "'xyxabyx'", "'本 '"};
  for (const std::string& a : values) {
    for (const std::string& b : values) {
      std::string two = "(" + a + ", " + b + ")";
      for (const char* function : {"instr", "trim", "ltrim", "rtrim"}) {
        EXPECT_EQ(Eval(function + two), Eval(original_, function + two)) << function << two;
      }
      for (const char* by : {"''", "'Z'", "'日x'", "NULL", "7"}) {
        std::string three = "replace(" + a + ", " + b + ", " + by + ")";
        EXPECT_EQ(Eval(three), Eval(original_, three)) << three;
      }
    }
  }
}

TEST_F(FunctionsTest, LongArgumentsTakeNoLongTime) {
  EXPECT_EQ(Eval("instr(replace(hex(zeroblob(900000)), '0', 'a'), "
                 "replace(hex(zeroblob(400000)), '0', 'a') || 'b')"),
            "integer:0");
  EXPECT_EQ(Eval("trim('x', hex(zeroblob(1000)))"),
            "the second argument of trim() has more than 1000 bytes");
  sqlite3_limit(ours_, SQLITE_LIMIT_LENGTH, 1000);
  EXPECT_EQ(Eval("replace('aaaaaaaaaa', 'a', hex(zeroblob(200)))"), "string or blob too big");
}

}  // namespace
}  // namespace sluice::query

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
    EXPECT_EQ(RegisterFunctions(ours_, should_stop_), SQLITE_OK);
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

  bool stop_ = false;
  const ShouldStop should_stop_ = [this] { return stop_; };
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

TEST_F(FunctionsTest, MatchAsSqlitesOwnDo) {
  const std::vector<std::string> texts = {"",     "a",     "ab",     "abc",   "aab", "ABC",   "a%b",
                                          "日本", "日a本", "a_b",    "-",     "]",   "aXbXc", "[a]",
                                          "ß",    "É",     "abcabc", "aaaab", "a\\b"};
  const std::vector<std::string> patterns = {
      "",     "%",    "_",       "a%",    "%a",     "%b%",   "a_c",   "A%C",   "%日%",
      "_本",  "a!%b", "!",       "a!_b",  "%%a%%b", "a%b%c", "*",     "?",     "a*",
      "*b*",  "a?c",  "[a-c]",   "[^a]*", "[]]",    "[a-",   "[",     "*[!b]", "[-a]",
      "[a-]", "é",    "[日-本]", "a\\b",  "[[]a]",  "[z-a]", "[]-c]", "[]a]",  "[b-b]",
      "%abc", "*abc", "*a*b*",   "[^^]",  "[^]]"};
  for (const std::string& text : texts) {
    for (const std::string& pattern : patterns) {
      for (const std::string& expression :
           {"'" + text + "' LIKE '" + pattern + "'", "'" + text + "' GLOB '" + pattern + "'",
            "'" + text + "' LIKE '" + pattern + "' ESCAPE '!'"}) {
        EXPECT_EQ(Eval(expression), Eval(original_, expression)) << expression;
      }
    }
  }
  for (const char* expression :
       {"NULL LIKE 'a'", "'a' LIKE NULL", "'a' LIKE 'a' ESCAPE NULL", "'a' LIKE 'a' ESCAPE ''",
        "'a' LIKE 'a' ESCAPE 'ab'", "12 LIKE '1%'", "1.5 GLOB '1*'", "x'6162' LIKE 'a_'"}) {
    EXPECT_EQ(Eval(expression), Eval(original_, expression)) << expression;
  }
}

TEST_F(FunctionsTest, ALongMatchCanBeStopped) {
  const std::string expression =
      "replace(hex(zeroblob(1900000)), '0', 'a') LIKE '%' || "
      "substr(replace(hex(zeroblob(400)), '0', 'a'), 1, 700) || 'b%'";
  stop_ = true;
  EXPECT_EQ(Eval(expression), "interrupted");
}

TEST_F(FunctionsTest, PrintAsSqlitesOwnDo) {
  for (const char* arguments :
       {"'%d|%5d|%-5d|%05d|%+d|%,d', 7, 7, 7, 7, 7, 1234567", "'%*d|%-*d|%*d', 6, 7, 6, 7, -6, 7",
        "'%.3f|%.*f|%10.2f|%e|%g|%!g', 1.5, 2, 3.14159, 2.5, 1e10, 1e-5, 0.1",
        "'%s|%.2s|%5s|%-5s|%.*s', 'abc', 'abc', 'ab', 'ab', 1, 'xyz'",
        "'%q|%Q|%w', 'it''s', NULL, 'a\"b'",
        "'%c|%.3c|%x|%X|%o|%u|%ld|%lld', 'xyz', 'a', 255, 255, 8, 5, 6, 7", "'100%%|%'",
        "'%n%d', 5", "'%d %s %f'", "NULL, 1", "12, 1", "'%5%|%z|%', 1", "'%.-3d', 1",
        "'%i %p', 1, 2", "''"}) {
    for (const char* function : {"printf", "format"}) {
      const std::string expression = std::string(function) + "(" + arguments + ")";
      EXPECT_EQ(Eval(expression), Eval(original_, expression)) << expression;
    }
  }
  EXPECT_EQ(Eval("printf()"), Eval(original_, "printf()"));
}

TEST_F(FunctionsTest, NobodyWaitsForTwoThousandMillionSpaces) {
  sqlite3_limit(ours_, SQLITE_LIMIT_LENGTH, 4 << 20);
  for (const char* expression :
       {"printf('%.*c', 2000000000, 'x')", "printf('%2000000000d', 1)",
        "format('%*s', -2000000000, 'x')", "printf('%3000000d%3000000d', 1, 2)",
        "printf('%99999999999999999999d', 1)"}) {
    EXPECT_EQ(Eval(expression), "string or blob too big") << expression;
  }
  EXPECT_EQ(Eval("length(printf('%4000000d', 1))"), "integer:4000000");
  // Digits do not become part of a number before them.
  EXPECT_EQ(Eval("printf('%.*999999999c', 2, 'x')"), "null:NULL");
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

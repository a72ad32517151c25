#include "server/query/query.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "server/ingest/pipeline.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

namespace sluice::query {
namespace {

struct ToText {
  std::string operator()(std::monostate) const { return "NULL"; }
  std::string operator()(double v) const { return fmt::format("{}f", v); }
  std::string operator()(int64_t v) const { return fmt::format("{}i", v); }
  std::string operator()(uint64_t v) const { return fmt::format("{}u", v); }
  std::string operator()(std::string_view v) const { return std::string(v); }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(Blob v) const { return fmt::format("blob({})", v.bytes.size()); }
};

class QueryTest : public testing::Test {
 protected:
  QueryTest() { store_->CreateDatabase(name_, {}).value(); }

  void Write(std::string_view body) {
    auto outcome = fixture::WriteLines(*store_, log_, {.database = name_, .body = body});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(outcome->rejected, 0) << outcome->rejections[0].message;
  }

  absl::StatusOr<std::unique_ptr<Query>> Open(const std::string& sql) {
    return Query::Open(*store_, log_, *governor_,
                       {.database = name_,
                        .sql = sql,
                        .arrival_ns = arrival_ns_,
                        .deadline = std::chrono::steady_clock::now() + timeout_,
                        .parameters = parameters_});
  }

  // One text for each row, its values separated by '|'; the error's message where there is one.
  std::vector<std::string> Select(const std::string& sql) {
    auto query = Open(sql);
    if (!query.ok()) return {"error: " + std::string(query.status().message())};
    std::vector<std::string> rows;
    Row row;
    while (true) {
      absl::StatusOr<bool> more = (*query)->Next(row);
      if (!more.ok()) return {"error: " + std::string(more.status().message())};
      if (!*more) return rows;
      std::string text;
      for (const Value& value : row)
        text += (text.empty() ? "" : "|") + std::visit(ToText(), value);
      rows.push_back(text);
    }
  }

  fixture::TempDir dir_;
  ingest::RejectionLog log_;
  std::unique_ptr<storage::Store> store_ = storage::OpenRocksDbStore(dir_.path()).value();
  storage::DatabaseName name_ = storage::DatabaseName::Parse("demo").value();
  int64_t arrival_ns_ = 0;
  std::chrono::milliseconds timeout_ = std::chrono::seconds(30);
  std::unique_ptr<Governor> governor_ = Governor::Create({}).value();
  std::map<std::string, Parameter> parameters_;
};

using Rows = std::vector<std::string>;

TEST_F(QueryTest, EveryTypeComesBackAsItWasWritten) {
  Write("m,tag=x f=1.5,i=-2i,u=18446744073709551615u,v=7u,s=\"text\",b=t 1");
  EXPECT_EQ(Select("SELECT * FROM m"),
            Rows{"1970-01-01T00:00:00.000000001Z|x|1.5f|-2i|18446744073709551615u|7u|text|true"});
  auto query = Open("SELECT time, tag, f, i, u, s, b, f + 1 FROM m").value();
  std::string types;
  for (const Column& column : query->columns()) types += column.type + ",";
  EXPECT_EQ(types, "time,tag,float,integer,unsigned,string,boolean,,");
}

TEST_F(QueryTest, AggregatesJoinsAndWindowFunctionsWork) {
  Write("a,h=x v=1 1\na,h=x v=2 2\na,h=y v=5 1\nb,h=x w=10 1\nb,h=y w=20 1");
  EXPECT_EQ(Select("SELECT h, sum(v), count(*) FROM a GROUP BY h ORDER BY h"),
            (Rows{"x|3f|2i", "y|5f|1i"}));
  EXPECT_EQ(Select("SELECT a.h, v, w FROM a JOIN b ON a.time = b.time AND a.h = b.h ORDER BY a.h"),
            (Rows{"x|1f|10f", "y|5f|20f"}));
  EXPECT_EQ(Select("SELECT v - lag(v) OVER (ORDER BY time) FROM a WHERE h = 'x'"),
            (Rows{"NULL", "1f"}));
}

TEST_F(QueryTest, TimeComparesAsTimeHoweverItIsWritten) {
  for (int i = 0; i < 4; ++i) Write(fmt::format("m v={}i {}000000000", i, 1'700'000'000 + i));
  for (const char* condition :
       {"time >= '2023-11-14T22:13:22Z'", "time > '2023-11-14 22:13:21'",
        "time >= '2023-11-14T23:13:22+01:00'", "time >= 1700000002000000000",
        "time BETWEEN '2023-11-14T22:13:21.5Z' AND '2030-01-01'",
        "'2023-11-14T22:13:22Z' <= time"}) {
    EXPECT_EQ(Select(fmt::format("SELECT v FROM m WHERE {} ORDER BY time", condition)),
              (Rows{"2i", "3i"}))
        << condition;
  }
  EXPECT_EQ(Select("SELECT v FROM m WHERE time = '2023-11-14T22:13:21Z'"), Rows{"1i"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE time IN ('2023-11-14T22:13:21Z', '2023-11-14T22:13:23Z') "
                   "ORDER BY v"),
            (Rows{"1i", "3i"}));
  EXPECT_EQ(Select("SELECT count(*) FROM m WHERE time < '2023-11-14T22:13:20Z' OR time > NULL"),
            Rows{"0i"});
}

TEST_F(QueryTest, TimeComparesWithEveryNumberThatSqlCanMake) {
  for (int i = 0; i < 4; ++i) Write(fmt::format("m v={}i {}000000000", i, 1'700'000'000 + i));
  for (const char* condition :
       {"time >= 1700000002e9", "time >= 1700000002000000000.0", "time >= 1700000002 * 1e9",
        "time > 1700000001.5e9", "time >= (SELECT 1700000002e9)", "NOT time < 1700000002e9",
        "time > -1e300 AND time >= 1700000002e9", "time BETWEEN 1700000002e9 AND 1e300",
        "time IN (1700000002e9, 1700000003e9)", "time > -9223372036854775808 AND v > 1"}) {
    EXPECT_EQ(Select(fmt::format("SELECT v FROM m WHERE {} ORDER BY time", condition)),
              (Rows{"2i", "3i"}))
        << condition;
  }
  for (const char* condition :
       {"time > 1e300", "time < -1e300", "time = 1700000002000000000.5 + 1000", "time = 1e300",
        "time > x'01'", "time >= (SELECT 'no time')", "time = (SELECT 'no time')"}) {
    EXPECT_EQ(Select(fmt::format("SELECT v FROM m WHERE {}", condition)).size(),
              condition == std::string("time > x'01'") ? 1u : 0u)
        << condition;
  }
  EXPECT_EQ(Select("SELECT count(*) FROM m WHERE time < (SELECT 'no time')"), Rows{"4i"});
  EXPECT_EQ(Select("SELECT count(*) FROM m WHERE time < 1e300"), Rows{"4i"});
}

TEST_F(QueryTest, AConstantThatIsNoTimeIsAMistake) {
  Write("m v=1 1");
  for (const char* wrong :
       {"yesterday", "2026-01-01T00:05:00+0100", "2026-1-1", "", "inf", "nan"}) {
    EXPECT_EQ(Select(fmt::format("SELECT v FROM m WHERE time > '{}'", wrong)),
              Rows{fmt::format("error: time is compared with '{}', which is no time; write "
                               "'2026-01-31', '2026-01-31T07:08:09Z', or a number of nanoseconds",
                               wrong)});
  }
}

TEST_F(QueryTest, AUnionOfTypesKeepsItsValues) {
  Write("m ok=t,big=18446744073709551615u,n=7i 1");
  EXPECT_EQ(Select("SELECT ok AS v FROM m UNION ALL SELECT n FROM m"), (Rows{"true", "7i"}));
  EXPECT_EQ(Select("SELECT big AS v FROM m UNION ALL SELECT '12 monkeys' UNION ALL SELECT '12'"),
            (Rows{"18446744073709551615u", "12 monkeys", "12"}));
}

TEST_F(QueryTest, LargeUnsignedNumbersSortByValue) {
  Write(
      "m u=18446744073709551615u 1\nm u=9223372036854775808u 2\nm u=5u 3\n"
      "m u=9223372036854775807u 4\nm u=10000000000000000000u 5");
  EXPECT_EQ(Select("SELECT u FROM m ORDER BY u DESC"),
            (Rows{"18446744073709551615u", "10000000000000000000u", "9223372036854775808u",
                  "9223372036854775807u", "5u"}));
  EXPECT_EQ(Select("SELECT max(u), min(u) FROM m"), Rows{"18446744073709551615|5i"});
}

TEST_F(QueryTest, ANameIsNeverTakenForAText) {
  Write("m room=1 1");
  EXPECT_EQ(Select("SELECT count(*) FROM m WHERE \"rooom\" = 'Kitchen'"),
            Rows{"error: SQL: no such column: rooom"});
}

TEST_F(QueryTest, ParametersAreBoundOrRefused) {
  Write("m,room=Kitchen v=1i 1\nm,room=Attic v=2i 2");
  EXPECT_EQ(Select("SELECT v FROM m WHERE room = $room"),
            Rows{"error: the query has the parameter $room, and `params` has no value for it"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE room = ?"),
            Rows{"error: the query has a parameter without a name; write $name, and give its value "
                 "in `params`"});
  parameters_ = {{"room", std::string("Attic")}, {"n", int64_t{2}}, {"none", std::monostate()}};
  EXPECT_EQ(Select("SELECT v FROM m WHERE room = $room"), Rows{"2i"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE v >= :n AND $none IS NULL"), Rows{"2i"});
  parameters_ = {{"from", int64_t{2}}};
  EXPECT_EQ(Select("SELECT v FROM m WHERE time >= $from"), Rows{"2i"});
}

TEST_F(QueryTest, EveryColumnOfAResultHasANameOfItsOwn) {
  Write("m a=1,a_2=2 1");
  auto query = Open("SELECT a, a, a_2, a, m.* FROM m").value();
  std::string names;
  for (const Column& column : query->columns()) names += column.name + ",";
  EXPECT_EQ(names, "a,a_3,a_2,a_4,time,a_5,a_2_2,");
}

TEST_F(QueryTest, ANulInANameIsShown) {
  Write(std::string("m a\0b=1,a\0c=2,a=3 1", 19));
  EXPECT_EQ(Select("SELECT \"a\u2400b\", \"a\u2400c\", a FROM m"), Rows{"1f|2f|3f"});
}

TEST_F(QueryTest, OnlyThePlanIsExplained) {
  Write("m a=1 1");
  EXPECT_EQ(Select("EXPLAIN SELECT * FROM m"),
            Rows{"error: EXPLAIN alone is not there; use EXPLAIN QUERY PLAN"});
  EXPECT_EQ(Select("EXPLAIN QUERY PLAN SELECT * FROM m").size(), 1u);
}

// Bounds that all queries share.
TEST_F(QueryTest, SlotsAreGivenBack) {
  governor_.reset();
  governor_ = Governor::Create({.slots = 2}).value();
  {
    auto first = Open("SELECT 1").value();
    auto second = Open("SELECT 1").value();
    auto third = Open("SELECT 1");
    EXPECT_TRUE(absl::IsUnavailable(third.status())) << third.status();
    EXPECT_EQ(third.status().message(), "2 queries are open, and no more may be; try again");
  }
  EXPECT_FALSE(Open("SELECT w").ok());
  EXPECT_EQ(governor_->open(), 0u);
  EXPECT_EQ(Select("SELECT 1"), Rows{"1i"});
}

TEST_F(QueryTest, TemporaryFilesAreBoundedAndLeaveNothing) {
  fixture::TempDir dir;
  governor_.reset();
  governor_ =
      Governor::Create({.temporary_dir = dir.path() + "/tmp", .temporary_bytes = size_t{32} << 20})
          .value();
  const std::string sort =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < {}) "
      "SELECT count(*) FROM (SELECT hex(randomblob(500)) AS h FROM c ORDER BY h LIMIT -1 OFFSET 1)";
  EXPECT_EQ(Select(fmt::format(fmt::runtime(sort), 4'000)), Rows{"3999i"});
  EXPECT_EQ(Select(fmt::format(fmt::runtime(sort), 100'000)),
            Rows{"error: queries need more temporary disk than they may have; sort or group less, "
                 "or later"});
  EXPECT_EQ(governor_->temporary_disk().used_bytes(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(dir.path() + "/tmp"));
}

TEST_F(QueryTest, TemporaryFilesLeaveTheDiskToWrites) {
  fixture::TempDir dir;
  governor_.reset();
  governor_ = Governor::Create(
                  {.temporary_dir = dir.path() + "/tmp", .min_free_disk_bytes = uint64_t{1} << 60})
                  .value();
  EXPECT_EQ(
      Select("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) "
             "SELECT count(*) FROM (SELECT hex(randomblob(500)) AS h FROM c ORDER BY h LIMIT "
             "-1 OFFSET 1)"),
      Rows{"error: queries need more temporary disk than they may have; sort or group less, "
           "or later"});
}

TEST_F(QueryTest, WhatScansHoldIsBounded) {
  governor_.reset();
  governor_ = Governor::Create({.memory_bytes = 2 << 20}).value();
  std::string body;
  for (int i = 0; i < 20'000; ++i)
    body += fmt::format("m,h=h{} a={},b={},c={},d=1 {}\n", i, i, i, i, i);
  Write(body);
  EXPECT_EQ(
      Select("SELECT sum(a + b + c + d) FROM m"),
      Rows{"error: what the query reads, and is not merged yet, takes more memory than queries "
           "may have; ask for less time, or later"});
  EXPECT_EQ(governor_->memory().used_bytes(), 0u);
  EXPECT_EQ(Select("SELECT count(*) FROM m WHERE time < 0"), Rows{"0i"});
}

TEST_F(QueryTest, ManyTablesAreNotSetUpForNobody) {
  Write("a v=1 1\nb v=1 1");
  auto query = Query::Open(*store_, log_, *governor_,
                           {.database = name_,
                            .sql = "SELECT * FROM a, b",
                            .abandoned = std::make_shared<std::atomic<bool>>(true)});
  EXPECT_TRUE(absl::IsCancelled(query.status())) << query.status();
}

TEST_F(QueryTest, WhoHasWaitedTooLongMayComeBack) {
  timeout_ = std::chrono::milliseconds(-1);
  EXPECT_TRUE(absl::IsUnavailable(Open("SELECT 1").status()));
}

TEST_F(QueryTest, NoConstantThatIsNoTimeIsTakenInSilence) {
  Write("m v=1 1");
  for (const char* condition : {"time != 'yesterday'", "time IS 'yesterday'", "time >= '2026'",
                                "time = '20260131'", "'yesterday' < time"}) {
    const Rows rows = Select(fmt::format("SELECT v FROM m WHERE {}", condition));
    EXPECT_THAT(rows[0], testing::HasSubstr("which is no time")) << condition;
  }
}

TEST_F(QueryTest, TagConditionsOfEveryKindAreRight) {
  Write("m,h=a v=1 1\nm,h=b v=2 2\nm v=3 3\nm,h=10 v=4 4");
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = 'b'"), Rows{"2f"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = 10"), Rows{"4f"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE h IS NULL"), Rows{"3f"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = NULL"), Rows());
  EXPECT_EQ(Select("SELECT v FROM m WHERE h IN ('a', 'b', 'zzz') ORDER BY v"), (Rows{"1f", "2f"}));
  EXPECT_EQ(Select("SELECT v FROM m WHERE h > '5' ORDER BY v"), (Rows{"1f", "2f"}));
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = 'A' COLLATE NOCASE"), Rows{"1f"});
  EXPECT_EQ(Select("SELECT x.v FROM m x LEFT JOIN m y ON y.h = x.h || 'z' WHERE y.v IS NULL "
                   "ORDER BY x.v"),
            (Rows{"1f", "2f", "3f", "4f"}));
}

TEST_F(QueryTest, ConditionsJoinedByOrAndOuterJoinsKeepEveryRowOnce) {
  Write("m,host=a,region=x v=1i 1\nm,host=b,region=x v=2i 2");
  Write("m,host=a,region=y v=3i 3\nm,host=c,region=z v=4i 4");
  Write("k,host=a w=1i 1\nk,host=q w=2i 1");
  EXPECT_EQ(Select("SELECT v FROM m WHERE host = 'a' OR region = 'x' ORDER BY v"),
            (Rows{"1i", "2i", "3i"}));
  EXPECT_EQ(Select("SELECT v FROM m WHERE time < 2 OR time >= 4 ORDER BY v"), (Rows{"1i", "4i"}));
  EXPECT_EQ(Select("SELECT w, v FROM k RIGHT JOIN m ON k.host = m.host ORDER BY v"),
            (Rows{"1i|1i", "NULL|2i", "1i|3i", "NULL|4i"}));
  EXPECT_EQ(Select("SELECT w, v FROM k FULL JOIN m ON k.host = m.host ORDER BY v, w"),
            (Rows{"2i|NULL", "1i|1i", "NULL|2i", "1i|3i", "NULL|4i"}));
}

TEST_F(QueryTest, ATagComparedWithANumberMatchesEveryTextThatIsIt) {
  Write("m,h=007 v=1i 1\nm,h=7 v=2i 2");
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = CAST('7' AS INTEGER) ORDER BY v"),
            (Rows{"1i", "2i"}));
  EXPECT_EQ(Select("SELECT v FROM m WHERE h = '7'"), Rows{"2i"});
}

TEST_F(QueryTest, JsonFunctionsWork) {
  EXPECT_EQ(Select("SELECT value FROM json_each('[1,2]')"), (Rows{"1i", "2i"}));
  EXPECT_EQ(Select("SELECT json_extract('{\"a\":5}', '$.a')"), Rows{"5i"});
}

TEST_F(QueryTest, NothingOfAResultIsUnbounded) {
  EXPECT_EQ(Select("SELECT zeroblob(5000000)"), Rows{"error: SQL: string or blob too big"});
  std::string row = "SELECT zeroblob(4000000)";
  for (int i = 0; i < 4; ++i) row += ", zeroblob(4000000)";
  EXPECT_EQ(Select(row), Rows{"error: a row of the result takes more than 16 MiB"});
}

TEST_F(QueryTest, AddressesAreNotHandedOut) {
  EXPECT_EQ(Open("SELECT hex(fts3_tokenizer('simple'))").status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(QueryTest, APointIsSeenWhileAnotherRequestAddsATag) {
  Write("t,host=a f=1 1");
  std::atomic<bool> done = false;
  std::thread reader([&] {
    while (!done) EXPECT_EQ(Select("SELECT sum(f = 1) FROM t"), Rows{"1i"});
  });
  for (int i = 0; i < 100; ++i) Write(fmt::format("t,host=a,g{}=r f=9 1", i));
  done = true;
  reader.join();
}

TEST_F(QueryTest, NamesThatDifferOnlyInCaseGetASuffix) {
  Write("cpu Host=1,host=2 1\nCPU v=3 1\nt Time=5i 1");
  EXPECT_EQ(Select("SELECT Host, host_2 FROM cpu_2"), Rows{"1f|2f"});
  EXPECT_EQ(Select("SELECT v FROM CPU"), Rows{"3f"});
  EXPECT_EQ(Select("SELECT Time_2 FROM t"), Rows{"5i"});
  Write("cpu_2 f=7i 1");
  EXPECT_EQ(Select("SELECT f FROM cpu_2"), Rows{"7i"});
  EXPECT_EQ(Select("SELECT Host FROM cpu_3"), Rows{"1f"});
}

TEST_F(QueryTest, AnyNameCanBeQuoted) {
  Write("we\\ ird\"'\\,`[x],ta\\ g\"=v fi\\ eld'=1 1\nsqlite_x f=1 1\nselect from=1 1");
  EXPECT_EQ(Select("SELECT \"ta g\"\"\", \"fi eld'\" FROM \"we ird\"\"',`[x]\""), Rows{"v|1f"});
  EXPECT_EQ(Select("SELECT f FROM _sqlite_x"), Rows{"1f"});
  EXPECT_EQ(Select("SELECT \"from\" FROM \"select\""), Rows{"1f"});
  EXPECT_EQ(Select("SELECT count(*) FROM sqlite_schema"), Rows{"3i"});
}

TEST_F(QueryTest, ManyColumnsAreTold) {
  std::string line = "m ";
  for (int i = 0; i < 200; ++i) line += fmt::format("{}c{}={}i", i == 0 ? "" : ",", i, i);
  Write(line + " 1");
  EXPECT_EQ(Select("SELECT c0, c61, c62, c63, c64, c199 FROM m"), Rows{"0i|61i|62i|63i|64i|199i"});
}

TEST_F(QueryTest, OnlyReadingIsAllowed) {
  Write("m v=1 1");
  for (const char* sql :
       {"DROP TABLE m", "INSERT INTO m VALUES (1)", "DELETE FROM m", "CREATE TABLE x(y)",
        "ATTACH '/tmp/x' AS y", "PRAGMA table_info(m)", "VACUUM INTO '/tmp/x'", "BEGIN",
        "SELECT load_extension('x')", "SELECT 1; SELECT 2", "", ";", "-- nothing", "EXPLAIN",
        "SELECT * FROM pragma_database_list"}) {
    auto query = Open(sql);
    EXPECT_EQ(query.status().code(), absl::StatusCode::kInvalidArgument) << sql;
  }
  EXPECT_EQ(Select("SELECT v FROM m; -- and a comment"), Rows{"1f"});
}

TEST_F(QueryTest, MistakesAreExplained) {
  Write("m v=1 1");
  EXPECT_EQ(Select("SELECT w FROM m"), Rows{"error: SQL: no such column: w"});
  EXPECT_EQ(Select("SELECT * FROM n"), Rows{"error: SQL: no such table: n"});
  EXPECT_EQ(Select("SELECT abs(-9223372036854775807 - 1) FROM m"),
            Rows{"error: SQL: integer overflow"});
}

TEST_F(QueryTest, ExpiredPointsAreNotSeen) {
  Write("m v=1i 1000\nm v=2i 2000");
  ASSERT_TRUE(
      store_->UpdateDatabase(name_, [](storage::DatabaseSettings& s) { s.retention_ns = 500; })
          .ok());
  arrival_ns_ = 2100;
  EXPECT_EQ(Select("SELECT v FROM m"), Rows{"2i"});
  EXPECT_EQ(Select("SELECT v FROM m WHERE time >= 0"), Rows{"2i"});
}

TEST_F(QueryTest, AnEndlessQueryEndsAtItsTimeout) {
  timeout_ = std::chrono::milliseconds(50);
  auto query = Open(
                   "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
                   "SELECT count(*) FROM c")
                   .value();
  Row row;
  EXPECT_EQ(query->Next(row).status().code(), absl::StatusCode::kDeadlineExceeded);
}

// Each call takes milliseconds, and SQLite takes few steps between two: it would go on for minutes.
TEST_F(QueryTest, FunctionsOfLargeValuesEndAtTheTimeoutToo) {
  timeout_ = std::chrono::milliseconds(100);
  const auto start = std::chrono::steady_clock::now();
  const Rows rows = Select(
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 1000000) "
      "SELECT sum(length(replace(x.t || n, '0', '12'))) FROM c, (SELECT hex(zeroblob(1000000)) t) "
      "x");
  EXPECT_THAT(rows[0], testing::HasSubstr("took longer than it may"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

TEST_F(QueryTest, AQueryCanBeCancelled) {
  auto abandoned = std::make_shared<std::atomic<bool>>(false);
  auto query = Query::Open(*store_, log_, *governor_,
                           {.database = name_,
                            .sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
                                   "SELECT count(*) FROM c",
                            .abandoned = abandoned})
                   .value();
  std::thread cancel([&] { *abandoned = true; });
  Row row;
  EXPECT_EQ(query->Next(row).status().code(), absl::StatusCode::kCancelled);
  cancel.join();
}

TEST_F(QueryTest, ARunningQueryKeepsItsMoment) {
  Write("m v=1i 1\nm v=2i 2");
  auto query = Open("SELECT v FROM m").value();
  Write("m v=3i 3");
  Row row;
  int rows = 0;
  while (query->Next(row).value()) ++rows;
  EXPECT_EQ(rows, 2);
}

TEST_F(QueryTest, ShowsWhatWasRejectedTheNewestFirst) {
  for (std::string body : {"m f=1\nbad", "m f=\"x\""}) {
    auto outcome = fixture::WriteLines(*store_, log_,
                                       {.database = name_,
                                        .body = body,
                                        .arrival_ns = 5,
                                        .origin = {"/write", "collector", "10.0.0.1:9"}});
    ASSERT_TRUE(outcome.ok());
  }
  EXPECT_THAT(
      Select("SELECT time, principal, peer, door, line, reason, table_name, column_name, "
             "excerpt FROM sluice_rejections"),
      testing::ElementsAre("1970-01-01T00:00:00.000000005Z|collector|10.0.0.1:9|/write|1i|"
                           "type_conflict|m|f|m f=\"x\"",
                           "1970-01-01T00:00:00.000000005Z|collector|10.0.0.1:9|/write|2i|syntax|"
                           "bad||bad"));
  EXPECT_THAT(Select("SELECT count(*) FROM Sluice_Rejections WHERE time > '2020-01-01'"),
              testing::ElementsAre("0i"));
  EXPECT_THAT(Select("SELECT name FROM sqlite_schema"), testing::ElementsAre("m"));
}

TEST_F(QueryTest, ATableNamedLikeTheRejectionsIsStillThere) {
  Write("sluice_rejections f=7i 1");
  EXPECT_THAT(Select("SELECT f FROM _sluice_rejections"), testing::ElementsAre("7i"));
}

}  // namespace
}  // namespace sluice::query

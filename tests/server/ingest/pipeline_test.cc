#include "server/ingest/pipeline.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/ingest/table_judge.h"
#include "server/typed/column_source.h"
#include "sluice/v1/points.pb.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

// What a request comes to is told by the cases in tests/contract; here is what they cannot tell.

namespace sluice::ingest {
namespace {

class PipelineTest : public testing::Test {
 protected:
  PipelineTest() { store_->CreateDatabase(name_, {}).value(); }

  absl::StatusOr<Outcome> Write(std::string_view body) {
    return Write({.database = name_, .body = body});
  }
  absl::StatusOr<Outcome> Write(fixture::Lines lines) {
    return fixture::WriteLines(Open(), std::move(lines));
  }
  Pipeline Open() { return Pipeline(*store_, log_, workers_, options_); }
  std::vector<RejectionLog::Entry> Kept() {
    return log_.List(fixture::RecordOf(**store_->FindDatabase(name_)).id, 100);
  }
  std::shared_ptr<const storage::DatabaseSchema> Schema() {
    return fixture::SchemaOf(**store_->FindDatabase(name_));
  }

  fixture::TempDir dir_;
  std::unique_ptr<storage::Store> store_ = storage::OpenRocksDbStore(dir_.path()).value();
  storage::DatabaseName name_ = storage::DatabaseName::Parse("demo").value();
  RejectionLog log_;
  server::Workers workers_{2};
  PipelineOptions options_;
};

TEST_F(PipelineTest, ConcurrentRequestsThatFixTheSameColumnAgreeOnItsType) {
  std::atomic<int64_t> floats = 0;
  std::atomic<int64_t> strings = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        bool is_float = (t + i) % 2 == 0;
        std::string line = fmt::format("t{} v={},c{}=1 {}", i, is_float ? "1" : "\"x\"", t, t + 1);
        absl::StatusOr<Outcome> outcome = Write(line);
        ASSERT_TRUE(outcome.ok()) << outcome.status();
        (is_float ? floats : strings) += outcome->ingested;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  int64_t expected_floats = 0;
  int64_t expected_strings = 0;
  for (int i = 0; i < 20; ++i) {
    auto table = Schema()->Find(fmt::format("t{}", i));
    ASSERT_NE(table, nullptr);
    bool is_float = table->columns()[*table->Find("v")].type == storage::ColumnType::kFloat;
    (is_float ? expected_floats : expected_strings) += 4;
    // v, and a column of each of the four requests that were taken.
    EXPECT_EQ(table->columns().size(), 5u);
  }
  EXPECT_EQ(floats, expected_floats);
  EXPECT_EQ(strings, expected_strings);
}

TEST_F(PipelineTest, ConcurrentRequestsDoNotExceedTheTableLimit) {
  options_.limits.max_tables = 10;
  std::atomic<int64_t> ingested = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) ingested += Write(fmt::format("t{}_{} f=1", t, i))->ingested;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ingested, 10);
  EXPECT_EQ(Schema()->table_count(), 10u);
}

TEST_F(PipelineTest, RejectionsSayWhere) {
  absl::StatusOr<Outcome> outcome = Write("home,room=a temp=1\n\nhome,room=a temp=\"x\"\n");
  ASSERT_TRUE(outcome.ok());
  ASSERT_EQ(outcome->rejections.size(), 1u);
  const Rejection& rejection = outcome->rejections[0];
  EXPECT_EQ(rejection.place.line->number, 3);
  EXPECT_EQ(rejection.place.line->begin, 20u);
  EXPECT_EQ(rejection.place.line->end, 40u);
  EXPECT_EQ(rejection.reason, Reason::kTypeConflict);
  EXPECT_FALSE(rejection.unreadable);
  EXPECT_EQ(rejection.table, "home");
  EXPECT_EQ(rejection.column, "temp");
  EXPECT_EQ(rejection.excerpt, "home,room=a temp=\"x\"");
}

TEST_F(PipelineTest, LinesAfterTheHundredthRejectionAreStillIngested) {
  std::string body;
  for (int i = 0; i < 150; ++i) body += fmt::format("bad\nhome f={}i {}\n", i, i);
  absl::StatusOr<Outcome> outcome = Write(body);
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->ingested, 150);
  EXPECT_EQ(outcome->rejected, 150);
  EXPECT_EQ(outcome->rejections.size(), 100u);
  EXPECT_EQ(outcome->rejections.back().place.number(), 199);
}

TEST_F(PipelineTest, APointOlderThanTheRetentionPeriodIsRejected) {
  constexpr int64_t kSecond = 1'000'000'000;
  ASSERT_TRUE(store_
                  ->UpdateDatabase(
                      name_, [](storage::DatabaseSettings& s) { s.retention_ns = 10 * kSecond; })
                  .ok());
  auto outcome = Write({.database = name_,
                        .body = "m f=1 89999999999\nm f=2 90000000000",
                        .arrival_ns = 100 * kSecond});
  ASSERT_TRUE(outcome.ok());
  EXPECT_EQ(outcome->ingested, 1);
  ASSERT_EQ(outcome->rejections.size(), 1u);
  EXPECT_EQ(outcome->rejections[0].reason, Reason::kBeyondRetention);
  EXPECT_EQ(
      outcome->rejections[0].message,
      "points beyond retention policy: timestamp 1970-01-01T00:01:29.999999999Z is older than "
      "the minimum acceptable 1970-01-01T00:01:30.000000000Z");
}

TEST_F(PipelineTest, ADroppedDatabaseIsNotFound) {
  ASSERT_TRUE(store_->DropDatabase(name_).ok());
  EXPECT_EQ(Write("home f=1").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(PipelineTest, ADatabasesOwnLimitsGoBeforeTheServers) {
  options_.limits.max_tables = 1;
  EXPECT_EQ(Write("a f=1\nb f=1")->ingested, 1);
  auto raise = [](storage::DatabaseSettings& s) { s.max_tables = 2; };
  ASSERT_TRUE(store_->UpdateDatabase(name_, raise).ok());
  EXPECT_EQ(Write("b f=1\nc f=1")->ingested, 1);
  auto widen = [](storage::DatabaseSettings& s) { s.max_columns = 2; };
  ASSERT_TRUE(store_->UpdateDatabase(name_, widen).ok());
  EXPECT_EQ(Write("a f=1 1\na g=1 2")->rejections[0].reason, Reason::kColumnLimit);
}

// Counted for each table; a day that is there takes more.
TEST_F(PipelineTest, ARequestHasPointsOnSoManyDaysAndNoMore) {
  options_.limits.max_days = 3;
  const auto day = [](int n, int ns) {
    return fmt::format("{}", n * int64_t{86'400'000'000'000} + ns);
  };
  const std::string full = "a f=1 " + day(-1, 0) + "\na f=2 " + day(0, 0) + "\nb f=1 " + day(0, 1);
  EXPECT_EQ(Write(full)->rejected, 0);
  auto outcome = Write(full + "\na f=3 " + day(1, 0) + "\nc f=1 " + day(0, 0) + "\na,t=x f=4 " +
                       day(0, 5) + "\na f=5 " + day(-1, 7) + "\nb g=1 " + day(-1, 0));
  EXPECT_EQ(outcome->ingested, 5);
  ASSERT_EQ(outcome->rejected, 3) << outcome->rejections[0].message;
  EXPECT_EQ(outcome->rejections[0].reason, Reason::kDayLimit);
  EXPECT_EQ(outcome->rejections[0].place.number(), 4);
  EXPECT_EQ(outcome->rejections[0].message,
            "the request has points on 3 days, counted for each table, and "
            "1970-01-02T00:00:00.000000000Z would be on one too many; send it in another request");
  EXPECT_EQ(outcome->rejections[1].place.number(), 5);
  EXPECT_EQ(outcome->rejections[2].place.number(), 8);
  // It left nothing behind.
  EXPECT_EQ(fixture::SchemaOf(**store_->FindDatabase(name_))->Find("c"), nullptr);
  EXPECT_FALSE(fixture::SchemaOf(**store_->FindDatabase(name_))->Find("b")->Find("g").has_value());
}

TEST_F(PipelineTest, EveryDayThereIsIsTooMuch) {
  std::string body;
  for (int64_t day = -100'000; day < 100'000; day += 7) {
    body += fmt::format("a f=1 {}\n", day * 86'400'000'000'000);
  }
  auto outcome = Write(body);
  EXPECT_EQ(outcome->ingested, 20'000);
  EXPECT_EQ(outcome->ingested + outcome->rejected, 28'572);
}

TEST_F(PipelineTest, ADropFreesTheLimitsAtOnce) {
  options_.limits.max_tables = 1;
  EXPECT_EQ(Write("a f=1")->ingested, 1);
  EXPECT_EQ(Write("b f=1")->ingested, 0);
  ASSERT_TRUE(store_->DropDatabase(name_).ok());
  store_->CreateDatabase(name_, {}).value();
  EXPECT_EQ(Write("b f=\"x\"")->ingested, 1);
}

TEST_F(PipelineTest, ValidateJudgesEverythingAndStoresNothing) {
  std::string body = "a f=1 1\na f=\"x\" 2\n";
  for (int i = 0; i < 150; ++i) body += "bad\n";
  Outcome outcome = Write({.database = name_, .body = body, .dry_run = true}).value();
  EXPECT_EQ(outcome.ingested, 1);
  EXPECT_EQ(outcome.rejected, 151);
  EXPECT_EQ(outcome.rejections.size(), 151u);
  EXPECT_EQ(Schema()->table_count(), 0u);
  EXPECT_TRUE(Kept().empty());
}

TEST_F(PipelineTest, ValidateTellsNoMoreThanAnAnswerHolds) {
  std::string body;
  for (int i = 0; i < 100'000; ++i) body += "bad\n";
  Outcome outcome = Write({.database = name_, .body = body, .dry_run = true}).value();
  EXPECT_EQ(outcome.rejected, 100'000);
  EXPECT_GT(outcome.rejections.size(), 5'000u);
  EXPECT_LT(outcome.rejections.size(), 50'000u);
}

TEST_F(PipelineTest, ARequestThatShouldStopIngestsNothing) {
  auto outcome = Write({.database = name_, .body = "a f=1", .check_awaited = [] {
                          return absl::CancelledError("gone");
                        }});
  EXPECT_EQ(outcome.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(Schema()->table_count(), 0u);
}

TEST_F(PipelineTest, KeepsWhatItRejected) {
  const Origin origin = {.door = "grpc", .principal = "collector", .peer = "10.0.0.1:5"};
  auto outcome = Write(
      {.database = name_, .body = "a f=1\nbad\na f=\"x\"", .arrival_ns = 7, .origin = origin});
  ASSERT_TRUE(outcome.ok());
  std::vector<RejectionLog::Entry> kept = Kept();
  ASSERT_EQ(kept.size(), 2u);
  EXPECT_EQ(kept[0]->rejection.place.line->number, 3);
  EXPECT_EQ(kept[0]->origin, origin);
  EXPECT_EQ(kept[0]->time_ns, 7);
  EXPECT_EQ(kept[1]->rejection.place.line->number, 2);
}

TEST_F(PipelineTest, MakesADatabaseOnlyWhereItIsToldToAndSomethingIsIngested) {
  ASSERT_TRUE(store_->DropDatabase(name_).ok());
  options_.create_databases = true;
  EXPECT_TRUE(Open().CheckDatabase(name_).ok());
  EXPECT_EQ(Write("bad")->rejected, 1);
  EXPECT_FALSE(store_->FindDatabase(name_).ok());
  EXPECT_EQ(Write("a f=1\nbad")->ingested, 1);
  EXPECT_EQ(Schema()->table_count(), 1u);
  EXPECT_EQ(Kept().size(), 1u);
}

// Tags that each day's block has again, from a request that has them once.
class RepeatedTagsTest : public PipelineTest {
 protected:
  absl::StatusOr<Outcome> WriteDays(int days) {
    v1::ColumnBatch batch;
    v1::TableBatch& table = *batch.add_tables();
    table.set_table("m");
    table.set_row_count(static_cast<uint32_t>(days));
    table.set_tag_set_count(1);
    for (int i = 0; i < days; ++i) table.add_timestamps(kDayNs * i);
    for (int i = 0; i < 20; ++i) {
      v1::TagColumn& tag = *table.add_tags();
      tag.set_key(fmt::format("t{}", i));
      tag.add_dictionary(std::string(50'000, 'x'));
    }
    v1::FieldColumn& field = *table.add_fields();
    field.set_key("f");
    for (int i = 0; i < days; ++i) field.mutable_floats()->add_values(i);
    const std::string bytes = batch.SerializeAsString();
    WriteRequest request{.database = name_, .memory = &memory_};
    request.batches.push_back(std::make_unique<typed::ColumnSource>(bytes));
    return fixture::Write(Open(), std::move(request));
  }

  server::MemoryBudget memory_{size_t{64} << 20};
};

TEST_F(RepeatedTagsTest, AreChargedForEachDay) {
  const absl::StatusOr<Outcome> few = WriteDays(10);
  ASSERT_TRUE(few.ok()) << few.status();
  EXPECT_EQ(few->ingested, 10);
  const absl::Status many = WriteDays(100).status();
  EXPECT_TRUE(absl::IsResourceExhausted(many)) << many;
  EXPECT_EQ(memory_.used_bytes(), 0u);
}

// What a stream's batches come to when they are written together.
class TogetherTest : public PipelineTest {
 protected:
  absl::StatusOr<std::vector<Outcome>> WriteTogether(const std::vector<std::string>& bodies,
                                                     bool accept_partial = true) {
    WriteRequest request{.database = name_, .options = {.accept_partial = accept_partial}};
    for (const std::string& body : bodies) {
      request.batches.push_back(std::make_unique<lineprotocol::LineSource>(body));
    }
    request.arrivals_ns = arrivals_ns_;
    request.mark = {.writer = "w", .sequence = 10};
    std::promise<absl::StatusOr<std::vector<Outcome>>> outcomes;
    Pipeline pipeline = Open();
    pipeline.Write(std::move(request), [&](absl::StatusOr<std::vector<Outcome>> result) {
      outcomes.set_value(result);
    });
    return outcomes.get_future().get();
  }
  std::optional<int64_t> Mark() { return (*store_->FindDatabase(name_))->FindMark("w").value(); }
  static std::string Count(const std::vector<Outcome>& outcomes) {
    std::string text;
    for (const Outcome& outcome : outcomes) {
      text += fmt::format("{}/{} ", outcome.ingested, outcome.rejected);
    }
    return text;
  }

  std::vector<int64_t> arrivals_ns_;
};

TEST_F(TogetherTest, PointsWithoutATimeGetThatOfTheirOwnBatch) {
  arrivals_ns_ = {1000, 1001, 1002};
  ASSERT_TRUE(WriteTogether({"m f=1", "m f=2", "m f=3"}).ok());
  EXPECT_THAT(fixture::TimesOf(**store_->FindDatabase(name_), "m"),
              testing::ElementsAre(1000, 1001, 1002));
}

TEST_F(TogetherTest, EachBatchMayBeOnAsManyDaysAsARequest) {
  options_.limits.max_days = 2;
  const auto on = [](int day) { return fmt::format("m f=1 {}\n", kDayNs * day); };
  auto outcomes = WriteTogether({on(1) + on(2), on(3) + on(4), on(5)});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "2/0 ");
  EXPECT_EQ(Mark(), 10);
  outcomes = WriteTogether({on(3) + on(4) + on(5)});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "2/1 ");
}

TEST_F(TogetherTest, EachBatchHasItsOwnOutcomeAfterThoseBefore) {
  const auto outcomes = WriteTogether({"m f=1 1\nm f=2 2", "m f=1i 3\nm g=1i 4", "bad", "m g=2 5"});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "2/0 1/1 0/1 0/1 ");
  EXPECT_EQ((*outcomes)[1].rejections[0].place.index, 0);
  EXPECT_EQ(Mark(), 13);
}

TEST_F(TogetherTest, WhatIsNoBatchIsTakenAlone) {
  auto outcomes = WriteTogether({"m f=1 1", "m g=1 2", "# nothing", "m f=1 3"});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "1/0 1/0 ");
  EXPECT_EQ(Mark(), 11);
  outcomes = WriteTogether({"# nothing", "m f=1 3"});
  EXPECT_TRUE(absl::IsInvalidArgument(outcomes.status()));
  EXPECT_EQ(Mark(), 11);
}

TEST_F(TogetherTest, WhatIsAllOrNothingLeavesNothingBehind) {
  auto outcomes = WriteTogether({"m f=1 1", "new f=1 2\nm f=t 2", "m f=1 3"}, false);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "1/0 ");
  EXPECT_EQ(Schema()->Find("new"), nullptr);
  outcomes = WriteTogether({"new f=1 2\nm f=t 2", "m f=1 3"}, false);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "0/1 ");
  EXPECT_EQ(Schema()->Find("new"), nullptr);
  EXPECT_EQ(Mark(), 10);
}

TEST_F(TogetherTest, BatchesOfWhichNothingIsTakenAreMarkedToo) {
  auto outcomes = WriteTogether({"bad", "worse"});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(Count(*outcomes), "0/1 0/1 ");
  EXPECT_EQ(Mark(), 11);
}

TEST_F(TogetherTest, SoMuchIsToldAtOnceAndTheRestComesLater) {
  std::string bad;
  for (int i = 0; i < 200; ++i) bad += "bad\n";
  const auto outcomes = WriteTogether(std::vector<std::string>(30, bad));
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(outcomes->size(), 5u);
  EXPECT_EQ(Mark(), 14);
}

}  // namespace
}  // namespace sluice::ingest

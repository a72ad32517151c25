// The writer against a real server: what it promises of each point.

#include "client/writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "client/client.h"
#include "tests/fixture/running_server.h"

namespace sluice::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr absl::Duration kLong = absl::Seconds(60);
const absl::Time kTime = absl::FromUnixNanos(1'700'000'000'000'000'000);

// What the callbacks have told.
struct Told {
  std::mutex mutex;
  int64_t written = 0;
  std::vector<std::string> rejected;
  std::vector<uint64_t> dropped;
  std::vector<DropReason> drop_reasons;
  std::vector<uint64_t> unknown;
  std::vector<WriterEvent::Kind> events;

  void ListenTo(WriterOptions& options) {
    options.on_written = [this](const BatchResult& batch) {
      std::lock_guard lock(mutex);
      written += batch.written_points;
    };
    options.on_rejected = [this](const RejectedPoint& point) {
      std::lock_guard lock(mutex);
      rejected.push_back(fmt::format("{} {} {}.{} {}", point.cookie, point.reason, point.table,
                                     point.column, point.line));
    };
    options.on_dropped = [this](DropReason reason, const absl::Status&, auto cookies) {
      std::lock_guard lock(mutex);
      dropped.insert(dropped.end(), cookies.begin(), cookies.end());
      drop_reasons.push_back(reason);
    };
    options.on_unknown = [this](auto cookies) {
      std::lock_guard lock(mutex);
      unknown.insert(unknown.end(), cookies.begin(), cookies.end());
    };
    options.on_event = [this](const WriterEvent& event) {
      std::lock_guard lock(mutex);
      events.push_back(event.kind);
    };
  }
};

void ExpectSum(const WriterReport& report) {
  EXPECT_EQ(report.added,
            report.written + report.rejected + report.dropped + report.unknown + report.pending);
}

class WriterTest : public testing::Test {
 protected:
  WriterTest() { client_->CreateDatabase("demo").value(); }

  WriterOptions Options() {
    WriterOptions options{.database = "demo"};
    told_.ListenTo(options);
    return options;
  }
  std::vector<std::string> Select(const std::string& sql) {
    std::vector<std::string> rows;
    const absl::Status status =
        client_->Query("demo", sql, {.on_columns = {}, .on_row = [&](const auto& row) {
                                       std::string text;
                                       for (const Value& value : row) text += ToText(value) + "|";
                                       rows.push_back(text);
                                     }});
    if (!status.ok()) rows.push_back(std::string(status.message()));
    return rows;
  }

  Told told_;
  fixture::RunningServer server_;
  std::unique_ptr<Client> client_ = Client::Connect(server_.grpc_address());
};

TEST_F(WriterTest, WritesEveryKindOfValue) {
  Writer writer(server_.grpc_address(), Options());
  const Series hall = *writer.AddSeries("home", {{"room", "hall"}, {"empty", ""}});
  const Series none = *writer.AddSeries("home", {});
  ASSERT_TRUE(writer.Add(hall, kTime, {{"f", 1.5}, {"i", int64_t{-3}}, {"s", "a\"b"}}).ok());
  ASSERT_TRUE(writer.Add(none, kTime, {{"u", std::numeric_limits<uint64_t>::max()}}).ok());
  ASSERT_TRUE(writer
                  .Add(hall, kTime + absl::Nanoseconds(1),
                       {{"b", true}, {"i", std::numeric_limits<int64_t>::min()}})
                  .ok());
  EXPECT_TRUE(writer.Flush(kLong).ok());
  EXPECT_THAT(
      Select("SELECT room, f, i, u, b, s FROM home ORDER BY time, room"),
      ElementsAre("NULL|NULL|NULL|18446744073709551615|NULL|NULL|", "hall|1.5|-3|NULL|NULL|a\"b|",
                  "hall|NULL|-9223372036854775808|NULL|true|NULL|"));
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 3);
  EXPECT_TRUE(report.complete());
  EXPECT_EQ(report.buffered_bytes, 0u);
  EXPECT_EQ(told_.written, 3);
  EXPECT_THAT(told_.events, ElementsAre(WriterEvent::Kind::kConnected));
}

TEST_F(WriterTest, TellsOfEachPointWhyItWasRejected) {
  client_->Write("demo", "m,t=a f=1 1").value();
  Writer writer(server_.grpc_address(), Options());
  const Series m = *writer.AddSeries("m", {{"t", "a"}});
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}, 1).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", "text"}}, 2).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 2.0}, {"t", 1.0}}, 3).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 3.0}}, 4).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 3.0}, {"s", "\xff"}}, 5).ok());
  ASSERT_TRUE(writer.AddLines("# two\nm f=4 9\n\nbad", 6).ok());
  ASSERT_TRUE(writer.AddLines("m f=5 10\nm f=t 11\n", 7).ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 4);
  EXPECT_EQ(report.rejected, 5);
  EXPECT_THAT(told_.rejected,
              ElementsAre("2 TYPE_CONFLICT m.f 0", "3 TYPE_CONFLICT m.t 0", "5 NOT_UTF8 m.s 0",
                          "6 SYNTAX bad. 4", "7 TYPE_CONFLICT m.f 2"));
  // Of the points that share a key the last that was taken counts.
  EXPECT_THAT(Select(fmt::format("SELECT f FROM m WHERE time = {}", absl::ToUnixNanos(kTime))),
              ElementsAre("3|"));
}

TEST_F(WriterTest, ALineThatDoesNotEndTakesNoOthersAlong) {
  Writer writer(server_.grpc_address(), Options());
  ASSERT_TRUE(writer.AddLines("m f=1,s=\"abc", 1).ok());
  ASSERT_TRUE(writer.AddLines("m f=2 2\nm f=3 3", 2).ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 2);
  EXPECT_EQ(report.rejected, 1);
  EXPECT_THAT(Select("SELECT count(*) FROM m"), ElementsAre("2|"));
}

TEST_F(WriterTest, TellsOfMoreRejectionsThanAreExplained) {
  client_->Write("demo", "m f=1 1").value();
  Writer writer(server_.grpc_address(), Options());
  const Series m = *writer.AddSeries("m", {});
  for (uint64_t i = 0; i < 1000; ++i) {
    ASSERT_TRUE(writer.Add(m, kTime + absl::Nanoseconds(i), {{"f", i % 3 == 0}}, i).ok());
  }
  EXPECT_EQ(writer.Close(kLong).rejected, 1000);
  ASSERT_EQ(told_.rejected.size(), 1000u);
  EXPECT_EQ(told_.rejected[0], "0 TYPE_CONFLICT m.f 0");
  EXPECT_EQ(told_.rejected[999], "999 TYPE_CONFLICT . 0");
}

TEST_F(WriterTest, RefusesWhatIsNoPoint) {
  Writer writer(server_.grpc_address(), Options());
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  const Series m = *writer.AddSeries("m", {});
  EXPECT_EQ(writer.AddSeries("", {}).status().code(), kInvalid);
  EXPECT_EQ(writer.AddSeries("m", {{"", "x"}}).status().code(), kInvalid);
  EXPECT_EQ(writer.AddSeries("m", {{"a", "x"}, {"a", "y"}}).status().code(), kInvalid);
  EXPECT_EQ(writer.Add(m, kTime, std::initializer_list<FieldView>()).code(), kInvalid);
  EXPECT_EQ(writer.Add(m, kTime, {{"", 1.0}}).code(), kInvalid);
  EXPECT_EQ(writer.Add(m, kTime, {{"f", 1.0}, {"f", 2.0}}).code(), kInvalid);
  EXPECT_EQ(writer.Add(m, kTime, {{"f", std::nan("")}}).code(), kInvalid);
  EXPECT_EQ(writer.Add(m, absl::InfiniteFuture(), {{"f", 1.0}}).code(), kInvalid);
  EXPECT_EQ(writer.Add(m, absl::InfinitePast(), {{"f", 1.0}}).code(), kInvalid);
  EXPECT_EQ(writer.Add(Series(), kTime, {{"f", 1.0}}).code(), kInvalid);
  EXPECT_EQ(writer.AddLines("# nothing").code(), kInvalid);
  EXPECT_EQ(writer.AddLines("m f=\"\xff\"").code(), kInvalid);
  EXPECT_EQ(writer.report().added, 0);
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}).ok());
  EXPECT_EQ(writer.Close(kLong).written, 1);
  EXPECT_EQ(writer.Add(m, kTime, {{"f", 1.0}}).code(), absl::StatusCode::kFailedPrecondition);
}

// Random points of few keys, whose last values are known.
TEST_F(WriterTest, KeepsTheOrderAndEveryValue) {
  std::mt19937 random(7);
  WriterOptions options = Options();
  options.batch_points = 97;
  options.batch_age = absl::Milliseconds(5);
  Writer writer(server_.grpc_address(), options);
  std::vector<Series> series;
  for (int i = 0; i < 5; ++i) {
    const std::string number = std::to_string(i);
    std::vector<TagView> tags = {{"n", number}};
    if (i % 2 == 0) tags.push_back({"even", "yes"});
    series.push_back(*writer.AddSeries(i < 3 ? "a" : "b", tags));
  }
  std::map<std::string, std::map<std::string, double>> expected;
  for (int i = 0; i < 20'000; ++i) {
    const size_t s = random() % series.size();
    const int64_t time = 1 + static_cast<int64_t>(random() % 50);
    std::vector<std::string> keys;
    std::vector<FieldView> fields;
    for (const char* key : {"x", "y", "z"}) {
      if (random() % 2 != 0) fields.push_back({key, static_cast<double>(i)});
    }
    if (fields.empty()) fields.push_back({"x", static_cast<double>(i)});
    fields.insert(fields.begin() + static_cast<int64_t>(random() % 2), {"t", time});
    ASSERT_TRUE(writer.Add(series[s], absl::FromUnixNanos(time), fields).ok());
    for (const FieldView& field : fields) {
      if (field.key == "t") continue;
      expected[fmt::format("{}|{}|", s, time)][std::string(field.key)] = i;
    }
  }
  EXPECT_EQ(writer.Close(kLong).written, 20'000);
  std::vector<std::string> rows;
  for (const auto& [key, values] : expected) {
    std::string row = key;
    for (const char* field : {"x", "y", "z"}) {
      const auto found = values.find(field);
      row += found == values.end() ? "NULL|" : fmt::format("{}|", found->second);
    }
    rows.push_back(row);
  }
  const std::string sql = "SELECT n, t, x, y, z FROM ";
  std::vector<std::string> found = Select(sql + "a");
  for (const std::string& row : Select(sql + "b")) found.push_back(row);
  EXPECT_THAT(found, testing::UnorderedElementsAreArray(rows));
}

TEST_F(WriterTest, TakesPointsOfManyThreads) {
  Writer writer(server_.grpc_address(), Options());
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = std::to_string(t);
      const Series series = *writer.AddSeries("m", {{"t", name}});
      for (int i = 0; i < 5000; ++i) {
        ASSERT_TRUE(writer.Add(series, absl::FromUnixNanos(i + 1), {{"f", int64_t{i}}}).ok());
        if (i % 1000 == 0) ExpectSum(writer.report());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 40'000);
  EXPECT_THAT(Select("SELECT count(*), sum(f) FROM m"), ElementsAre("40000|99980000|"));
}

TEST_F(WriterTest, ThousandsOfColumnsAreTaken) {
  Writer writer(server_.grpc_address(), Options());
  std::vector<std::string> keys;
  for (int i = 0; i < 3000; ++i) keys.push_back(fmt::format("f{}", i));
  // Of as many columns as a table may have some are written, and the other points rejected.
  const Series m = *writer.AddSeries("m", {{"t", "a"}});
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(
        writer.Add(m, kTime + absl::Nanoseconds(i), {{keys[static_cast<size_t>(i)], 1.0}}).ok());
  }
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written + report.rejected, 3000);
  EXPECT_GT(report.written, 100);
  EXPECT_GT(report.rejected, 100);
  EXPECT_THAT(told_.rejected[0], HasSubstr("COLUMN_LIMIT"));
}

TEST_F(WriterTest, AMissingDatabaseIsFatal) {
  WriterOptions options = Options();
  options.database = "none";
  Writer writer(server_.grpc_address(), options);
  const Series m = *writer.AddSeries("m", {});
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}, 7).ok());
  EXPECT_EQ(writer.Flush(kLong).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(writer.Add(m, kTime, {{"f", 1.0}}).code(), absl::StatusCode::kNotFound);
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.dropped, 1);
  EXPECT_THAT(told_.dropped, ElementsAre(7));
  EXPECT_THAT(told_.drop_reasons, ElementsAre(DropReason::kFatal));
  EXPECT_FALSE(report.complete());
}

TEST_F(WriterTest, TheNewerOfTwoWritersWithOneIdGoesOn) {
  WriterOptions options = Options();
  options.writer_id = "w";
  Writer older(server_.grpc_address(), options);
  const Series m = *older.AddSeries("m", {});
  ASSERT_TRUE(older.Add(m, kTime, {{"f", 1.0}}).ok());
  ASSERT_TRUE(older.Flush(kLong).ok());
  Writer newer(server_.grpc_address(), {.database = "demo", .writer_id = "w"});
  EXPECT_EQ(newer.ResumeFrom(kLong).value(), 0);
  ASSERT_TRUE(newer.Add(m, kTime, {{"f", 2.0}}).ok());
  ASSERT_TRUE(newer.Flush(kLong).ok());
  for (int i = 0; i < 1000 && older.Add(m, kTime, {{"f", 3.0}}).ok(); ++i) {
    older.Flush(kLong).IgnoreError();
  }
  EXPECT_EQ(older.Flush(kLong).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(newer.Close(kLong).written, 1);
  EXPECT_THAT(Select("SELECT f FROM m"), ElementsAre("2|"));
}

TEST_F(WriterTest, NumbersGoOnWhereTheyEnded) {
  WriterOptions options = Options();
  options.writer_id = "w";
  options.batch_bytes = 1;
  for (int64_t run = 0; run < 3; ++run) {
    std::vector<int64_t> sequences;
    options.on_written = [&](const BatchResult& batch) { sequences.push_back(batch.sequence); };
    Writer writer(server_.grpc_address(), options);
    const auto last = writer.ResumeFrom(kLong);
    ASSERT_TRUE(last.ok()) << last.status();
    EXPECT_EQ(last->value_or(-1), 2 * run - 1);
    ASSERT_TRUE(writer.AddLines(fmt::format("m f=1 {}", 10 * run)).ok());
    ASSERT_TRUE(writer.AddLines(fmt::format("m f=1 {}", 10 * run + 1)).ok());
    writer.Close(kLong);
    EXPECT_THAT(sequences, ElementsAre(2 * run, 2 * run + 1));
  }
  EXPECT_THAT(Select("SELECT count(*) FROM m"), ElementsAre("6|"));
}

// ---- Without a server

class WriterWithoutServerTest : public testing::Test {
 protected:
  WriterOptions Options() {
    WriterOptions options{.database = "demo"};
    options.max_buffer_bytes = 200'000;
    told_.ListenTo(options);
    return options;
  }
  static constexpr char kNobody[] = "127.0.0.1:1";
  Told told_;
};

TEST_F(WriterWithoutServerTest, HoldsWhatItMayAndRefusesTheRest) {
  WriterOptions options = Options();
  options.when_full = WhenFull::kReject;
  Writer writer(kNobody, options);
  const Series m = *writer.AddSeries("m", {});
  int64_t added = 0;
  while (writer.Add(m, absl::FromUnixNanos(added), {{"f", 1.0}}).ok()) ++added;
  EXPECT_EQ(writer.Add(m, kTime, {{"f", 1.0}}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_GT(added, 1000);
  EXPECT_LE(writer.report().buffered_bytes, options.max_buffer_bytes);
  EXPECT_EQ(writer.report().pending, added);
  EXPECT_EQ(writer.Flush(absl::Milliseconds(300)).code(), absl::StatusCode::kDeadlineExceeded);
  const WriterReport report = writer.Close(absl::Milliseconds(100));
  EXPECT_EQ(report.dropped, added);
  EXPECT_EQ(report.pending, 0);
  EXPECT_EQ(report.last_error.code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(told_.dropped.size(), static_cast<size_t>(added));
  EXPECT_EQ(told_.drop_reasons.back(), DropReason::kClosed);
  EXPECT_EQ(told_.events.front(), WriterEvent::Kind::kDisconnected);
}

TEST_F(WriterWithoutServerTest, WaitsForRoomAsLongAsItMay) {
  WriterOptions options = Options();
  options.block_timeout = absl::Milliseconds(200);
  Writer writer(kNobody, options);
  const Series m = *writer.AddSeries("m", {});
  absl::Time start = absl::Now();
  while (writer.Add(m, kTime, {{"f", 1.0}}).ok()) start = absl::Now();
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(190));
  EXPECT_LE(writer.report().buffered_bytes, options.max_buffer_bytes);
  std::thread closer([&] {
    absl::SleepFor(absl::Milliseconds(50));
    writer.Abandon();
  });
  EXPECT_FALSE(writer.Add(m, kTime, {{"f", 1.0}}).ok());
  closer.join();
}

TEST_F(WriterWithoutServerTest, DropsTheOldestWhereItIsToldTo) {
  WriterOptions options = Options();
  options.when_full = WhenFull::kDropOldest;
  Writer writer(kNobody, options);
  const Series m = *writer.AddSeries("m", {});
  constexpr uint64_t kPoints = 20'000;
  for (uint64_t i = 0; i < kPoints; ++i) {
    // What has been dropped takes some room until that is told.
    absl::Status added = writer.Add(m, kTime, {{"f", 1.0}}, i);
    while (!added.ok()) {
      absl::SleepFor(absl::Milliseconds(1));
      added = writer.Add(m, kTime, {{"f", 1.0}}, i);
    }
    ASSERT_LE(writer.report().buffered_bytes, options.max_buffer_bytes);
  }
  ExpectSum(writer.report());
  writer.Abandon();
  ASSERT_EQ(told_.dropped.size(), kPoints);
  for (uint64_t i = 0; i < kPoints; ++i) ASSERT_EQ(told_.dropped[i], i);
  EXPECT_EQ(told_.drop_reasons.front(), DropReason::kFull);
  EXPECT_EQ(told_.drop_reasons.back(), DropReason::kClosed);
}

TEST_F(WriterWithoutServerTest, DropsWhatHasWaitedTooLong) {
  WriterOptions options = Options();
  options.delivery_timeout = absl::Milliseconds(200);
  Writer writer(kNobody, options);
  const Series m = *writer.AddSeries("m", {});
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}, 5).ok());
  EXPECT_TRUE(writer.Flush(kLong).ok());
  EXPECT_THAT(told_.dropped, ElementsAre(5));
  EXPECT_THAT(told_.drop_reasons, ElementsAre(DropReason::kTimeout));
}

TEST_F(WriterWithoutServerTest, ACallbackIsNotBlocked) {
  WriterOptions options = Options();
  options.delivery_timeout = absl::Milliseconds(50);
  Writer* self = nullptr;
  std::vector<absl::Status> seen;
  options.on_dropped = [&](DropReason, const absl::Status&, auto) {
    seen.push_back(self->Flush(kLong));
    self->Close(kLong);
  };
  Writer writer(kNobody, options);
  self = &writer;
  const Series m = *writer.AddSeries("m", {});
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}, 5).ok());
  EXPECT_TRUE(writer.Flush(kLong).ok());
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].code(), absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace sluice::client

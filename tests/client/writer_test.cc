// The writer against a real server: what it promises of each point.

#include "client/writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include "absl/time/clock.h"
#include "client/client.h"
#include "sluice/v1/write.grpc.pb.h"
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

// As the reader has it a quote in a comment goes on as well.
TEST_F(WriterTest, ACommentWithAQuoteTakesNoOthersAlong) {
  Writer writer(server_.grpc_address(), Options());
  ASSERT_TRUE(writer.AddLines("m f=0 1\n# a=\"\n", 1).ok());
  ASSERT_TRUE(writer.AddLines("m f=2 2\nm f=3 3\nm f=4 4", 2).ok());
  ASSERT_TRUE(writer.AddLines("m f=2 5\nm f=3 6\nm f=4 7", 3).ok());
  EXPECT_EQ(writer.Close(kLong).written, 7);
  EXPECT_THAT(Select("SELECT count(*) FROM m"), ElementsAre("7|"));
}

// ---- Sizes. The server takes a batch of a mebibyte.

TEST_F(WriterTest, WhatIsLargeTakesNoOthersAlong) {
  Writer writer(server_.grpc_address(), Options());
  const Series m = *writer.AddSeries("m", {});
  constexpr size_t kMax = size_t{1} << 20;
  ASSERT_TRUE(writer.Add(m, kTime, {{"f", 1.0}}, 1).ok());
  // Nobody knows yet what the server takes.
  ASSERT_TRUE(writer.AddLines("m s=\"" + std::string(kMax, 'x') + "\" 1", 2).ok());
  ASSERT_TRUE(writer.AddLines("m f=1 2", 3).ok());
  ASSERT_TRUE(writer.Flush(kLong).ok());
  EXPECT_THAT(told_.rejected, ElementsAre("2 BODY_TOO_LARGE . 0"));
  // Now it is known.
  const std::string line = "m s=\"" + std::string(kMax - 8, 'x') + "\" 3";
  ASSERT_EQ(line.size(), kMax);
  EXPECT_TRUE(writer.AddLines(line, 4).ok());
  EXPECT_EQ(writer.AddLines(line + "\n", 5).code(), absl::StatusCode::kInvalidArgument);
  for (uint64_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(writer.Add(m, kTime + absl::Nanoseconds(i), {{"f", 1.0}}, i).ok());
  }
  ASSERT_TRUE(writer.Add(m, kTime, {{"s", std::string(kMax - 1000, 'y')}}, 6).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"s", std::string(kMax, 'y')}}, 7).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"g", 1.0}}, 8).ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.added, 107);
  EXPECT_EQ(report.written, 105);
  EXPECT_TRUE(report.complete());
  EXPECT_FALSE(report.all_written());
  EXPECT_THAT(told_.rejected, ElementsAre("2 BODY_TOO_LARGE . 0", "7 BODY_TOO_LARGE . 0"));
}

TEST_F(WriterTest, BatchesHaveAsManyPointsAsTheyMay) {
  WriterOptions options = Options();
  options.batch_points = 100;
  options.batch_age = absl::Seconds(10);
  std::vector<int64_t> sizes;
  options.on_written = [&](const BatchResult& batch) {
    sizes.push_back(batch.written_points);
    EXPECT_EQ(batch.cookies.size(), static_cast<size_t>(batch.written_points));
    EXPECT_EQ(batch.cookies.front(), sizes.size() - 1);
  };
  Writer writer(server_.grpc_address(), options);
  const auto lines = [](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += fmt::format("m f=1 {}\n", i);
    return text;
  };
  ASSERT_TRUE(writer.AddLines(lines(60), 0).ok());
  ASSERT_TRUE(writer.AddLines(lines(40), 0).ok());
  ASSERT_TRUE(writer.AddLines(lines(99), 1).ok());
  ASSERT_TRUE(writer.AddLines(lines(2), 2).ok());
  ASSERT_TRUE(writer.AddLines(lines(101), 3).ok());
  const Series m = *writer.AddSeries("m", {});
  for (uint64_t i = 0; i < 101; ++i) {
    ASSERT_TRUE(writer.Add(m, kTime + absl::Nanoseconds(i), {{"f", 1.0}}, 4 + i / 100).ok());
  }
  EXPECT_TRUE(writer.Close(kLong).all_written());
  EXPECT_THAT(sizes, ElementsAre(100, 99, 2, 101, 100, 1));
}

TEST_F(WriterTest, TakesNumbersAndTextsOfAnyType) {
  Writer writer(server_.grpc_address(), Options());
  const Series m = *writer.AddSeries("m", {});
  const std::string text = "text";
  ASSERT_TRUE(writer
                  .Add(m, kTime,
                       {{"a", uint16_t{65535}},
                        {"b", int8_t{-1}},
                        {"c", 1},
                        {"d", 1u},
                        {"e", 0.5f},
                        {"f", text},
                        {"g", "literal"},
                        {"h", true}})
                  .ok());
  EXPECT_TRUE(writer.Close(kLong).all_written());
  EXPECT_THAT(Select("SELECT a, b, c, d, e, f, g, h FROM m"),
              ElementsAre("65535|-1|1|1|0.5|text|literal|true|"));
  const std::vector<Column> columns = client_->DescribeTable("demo", "m").value();
  std::string types;
  for (const Column& column : columns) types += column.type + " ";
  EXPECT_EQ(types, "time unsigned integer integer unsigned float string string boolean ");
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
  EXPECT_EQ(writer.AddSeries("m", {{"time", "x"}}).status().code(), kInvalid);
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
    EXPECT_EQ(writer.Close(kLong).reconnects, 0);
    EXPECT_THAT(sequences, ElementsAre(2 * run, 2 * run + 1));
  }
  // One that has been asked only, and closed.
  Writer writer(server_.grpc_address(), options);
  EXPECT_EQ(writer.ResumeFrom(kLong).value(), 5);
  EXPECT_EQ(writer.Close(kLong).reconnects, 0);
  EXPECT_THAT(Select("SELECT count(*) FROM m"), ElementsAre("6|"));
}

TEST_F(WriterTest, AWriterIdThatIsNoneIsFatal) {
  for (const std::string& id : {std::string(65, 'x'), std::string("a b")}) {
    WriterOptions options = Options();
    options.writer_id = id;
    Writer writer(server_.grpc_address(), options);
    EXPECT_EQ(writer.AddLines("m f=1").code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(writer.ResumeFrom(kLong).status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(writer.Close(kLong).added, 0);
  }
}

TEST_F(WriterTest, ATokenThatIsNoneIsFatal) {
  WriterOptions options = Options();
  options.token = "two\nlines";
  Writer writer(server_.grpc_address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1").ok());
  EXPECT_EQ(writer.Flush(kLong).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(writer.Close(kLong).dropped, 1);
}

// What has come meanwhile counts.
TEST_F(WriterTest, ASlowCallbackDoesNotCostTheStream) {
  WriterOptions options = Options();
  options.batch_bytes = 1;
  options.ack_timeout = absl::Seconds(2);
  int told = 0;
  options.on_written = [&](const BatchResult&) {
    if (told++ == 0) absl::SleepFor(absl::Milliseconds(2500));
  };
  Writer writer(server_.grpc_address(), options);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(writer.AddLines(fmt::format("m f=1 {}", i)).ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_TRUE(report.all_written());
  EXPECT_EQ(report.reconnects, 0);
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

// Points of all shapes, among them those that cost something for each one before.
TEST_F(WriterWithoutServerTest, NeverHoldsMoreThanItMay) {
  for (uint32_t seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    WriterOptions options = Options();
    options.when_full = seed % 2 == 0 ? WhenFull::kReject : WhenFull::kDropOldest;
    options.max_buffer_bytes = 50'000 + random() % 1'000'000;
    Writer writer(kNobody, options);
    for (int i = 0; i < 3000; ++i) {
      const auto text = [&] { return std::string(random() % 10 == 0 ? random() % 500 : 3, 'x'); };
      std::vector<std::string> texts;
      for (int t = 0; t < 20; ++t) texts.push_back(fmt::format("{}{}", random() % 100, text()));
      std::vector<TagView> tags;
      for (uint32_t t = 0; t < random() % 10; ++t) tags.push_back({texts[t], texts[10 + t]});
      const auto series = writer.AddSeries("m", tags);
      if (!series.ok()) continue;
      std::vector<FieldView> fields;
      for (uint32_t f = 0; f <= random() % 10; ++f) {
        FieldView field{texts[f], texts[19 - f]};
        if (random() % 2 == 0) field.value = i;
        fields.push_back(field);
      }
      writer.Add(*series, kTime, fields).IgnoreError();
      if (random() % 50 == 0) writer.AddLines("m f=1 1\n" + texts[0] + " f=\"").IgnoreError();
      ASSERT_LE(writer.report().buffered_bytes, options.max_buffer_bytes) << seed;
    }
    writer.Abandon();
    ExpectSum(writer.report());
    EXPECT_EQ(writer.report().buffered_bytes, 0u);
  }
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

TEST_F(WriterWithoutServerTest, OneWithANameDropsNothing) {
  WriterOptions options = Options();
  options.when_full = WhenFull::kDropOldest;
  options.writer_id = "w";
  Writer writer(kNobody, options);
  EXPECT_EQ(writer.AddLines("m f=1").code(), absl::StatusCode::kInvalidArgument);
}

// Nothing else is dropped for what is not taken anyway.
TEST_F(WriterWithoutServerTest, DropsNothingForWhatIsNoPoint) {
  WriterOptions options = Options();
  options.when_full = WhenFull::kDropOldest;
  options.max_buffer_bytes = 1'000'000;
  Writer writer(kNobody, options);
  const Series m = *writer.AddSeries("m", {});
  const std::string half(200'000, 'x');
  ASSERT_TRUE(writer.Add(m, kTime, {{"s", half}}).ok());
  ASSERT_TRUE(writer.Add(m, kTime, {{"s", half}}).ok());
  const std::string large(400'000, 'x');
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(writer.Add(m, kTime, {{"s", large}, {"s", large}}).code(), kInvalid);
  EXPECT_EQ(writer.AddLines(std::string("m s=\"\xff") + large + "\"").code(), kInvalid);
  EXPECT_EQ(writer.report().dropped, 0);
  ASSERT_TRUE(writer.AddLines("m s=\"" + large + "\"").ok());
  EXPECT_GT(writer.report().dropped, 0);
}

TEST_F(WriterWithoutServerTest, AClosedOneSaysSoAlsoWhereItIsFull) {
  for (const WhenFull when_full : {WhenFull::kReject, WhenFull::kDropOldest, WhenFull::kBlock}) {
    WriterOptions options = Options();
    options.when_full = when_full;
    options.block_timeout = absl::Seconds(10);
    Writer* self = nullptr;
    std::vector<absl::Status> seen;
    options.on_dropped = [&](DropReason, const absl::Status&, auto) {
      seen.push_back(self->AddLines("m s=\"" + std::string(190'000, 'x') + "\""));
    };
    Writer writer(kNobody, options);
    self = &writer;
    ASSERT_TRUE(writer.AddLines("m s=\"" + std::string(90'000, 'x') + "\"").ok());
    writer.Abandon();
    ASSERT_EQ(seen.size(), 1u);
    EXPECT_EQ(seen[0].message(), "the writer is closed");
  }
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

// ---- With a server that says what a test wants

// Its streams are played one after the other, the last again and again.
class ScriptedServer final : public v1::WriteService::Service {
 public:
  using Stream = grpc::ServerReaderWriter<v1::WriteStreamResponse, v1::WriteStreamRequest>;
  using Script = std::function<grpc::Status(Stream&)>;

  explicit ScriptedServer(std::vector<Script> scripts) : scripts_(std::move(scripts)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~ScriptedServer() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string address() const { return fmt::format("127.0.0.1:{}", port_); }

  grpc::Status WriteStream(grpc::ServerContext*, Stream* stream) override {
    size_t number = streams_++;
    return scripts_[std::min(number, scripts_.size() - 1)](*stream);
  }

  static v1::WriteStreamRequest Read(Stream& stream) {
    v1::WriteStreamRequest request;
    stream.Read(&request);
    return request;
  }
  // Until the client has nothing more to send.
  static void ReadAll(Stream& stream) {
    v1::WriteStreamRequest request;
    while (stream.Read(&request)) {
    }
  }
  static void Open(Stream& stream, std::optional<int64_t> last_written = std::nullopt) {
    v1::WriteStreamResponse response;
    response.mutable_opened()->mutable_window()->set_max_bytes(1 << 20);
    response.mutable_opened()->mutable_window()->set_max_batches(100);
    if (last_written) response.mutable_opened()->set_last_written_sequence(*last_written);
    stream.Write(response);
  }
  static void Ack(Stream& stream, int64_t sequence, std::optional<int64_t> rejected) {
    v1::WriteStreamResponse response;
    v1::WriteStreamAck& ack = *response.mutable_acks()->add_acks();
    ack.set_sequence(sequence);
    if (rejected) {
      ack.mutable_written()->set_rejected_points(*rejected);
      ack.mutable_written()->set_ingested_points(1 - *rejected);
    }
    stream.Write(response);
  }

 private:
  std::vector<Script> scripts_;
  std::atomic<size_t> streams_ = 0;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

const grpc::Status kGone(grpc::StatusCode::UNAVAILABLE, "gone");

grpc::Status BreaksAfterABatch(ScriptedServer::Stream& stream) {
  ScriptedServer::Read(stream);
  ScriptedServer::Open(stream);
  ScriptedServer::Read(stream);
  return kGone;
}

TEST(WriterOnScriptsTest, AnAcknowledgementThatSaysNothingIsNone) {
  for (const int64_t sequence : {0, 7}) {
    ScriptedServer server({[&](auto& stream) {
                             ScriptedServer::Read(stream);
                             ScriptedServer::Open(stream);
                             ScriptedServer::Read(stream);
                             if (sequence == 0) {
                               ScriptedServer::Ack(stream, 0, std::nullopt);
                             } else {
                               ScriptedServer::Ack(stream, sequence, 0);
                             }
                             ScriptedServer::ReadAll(stream);
                             return kGone;
                           },
                           [](auto& stream) {
                             ScriptedServer::Read(stream);
                             ScriptedServer::Open(stream);
                             ScriptedServer::Read(stream);
                             ScriptedServer::Ack(stream, 0, 1);
                             ScriptedServer::ReadAll(stream);
                             return grpc::Status::OK;
                           }});
    Writer writer(server.address(), {.database = "demo"});
    ASSERT_TRUE(writer.AddLines("m f=1").ok());
    const WriterReport report = writer.Close(kLong);
    EXPECT_EQ(report.written, 0);
    EXPECT_EQ(report.rejected, 1);
    EXPECT_EQ(report.reconnects, 1);
    EXPECT_EQ(report.resent_batches, 1);
  }
}

// Of a stream that ends when there is nothing else to tell.
TEST(WriterOnScriptsTest, CloseComesAfterTheLastCallback) {
  ScriptedServer server({[](auto& stream) {
    ScriptedServer::Read(stream);
    ScriptedServer::Open(stream);
    ScriptedServer::Read(stream);
    ScriptedServer::Ack(stream, 0, 0);
    return kGone;
  }});
  WriterOptions options{.database = "demo"};
  std::atomic<bool> has_begun = false;
  std::atomic<bool> has_ended = false;
  options.on_event = [&](const WriterEvent& event) {
    if (event.kind != WriterEvent::Kind::kDisconnected) return;
    has_begun = true;
    absl::SleepFor(absl::Milliseconds(300));
    has_ended = true;
  };
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1").ok());
  while (!has_begun) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_TRUE(writer.Close(kLong).all_written());
  EXPECT_TRUE(has_ended);
}

TEST(WriterOnScriptsTest, NobodyWaitsForWhatWasGivenUp) {
  ScriptedServer server({[](auto& stream) {
    ScriptedServer::Read(stream);
    ScriptedServer::Open(stream);
    ScriptedServer::ReadAll(stream);
    return grpc::Status::OK;
  }});
  Told told;
  WriterOptions options{.database = "demo", .delivery_timeout = absl::Milliseconds(100)};
  told.ListenTo(options);
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1", 5).ok());
  ASSERT_TRUE(writer.Flush(kLong).ok());
  EXPECT_THAT(told.unknown, ElementsAre(5));
  const absl::Time start = absl::Now();
  EXPECT_EQ(writer.Close(kLong).unknown, 1);
  EXPECT_LT(absl::Now() - start, options.ack_timeout / 2);
}

TEST(WriterOnScriptsTest, WhatWasWrittenBeforeIsToldApart) {
  ScriptedServer server({BreaksAfterABatch, [](auto& stream) {
                           ScriptedServer::Read(stream);
                           ScriptedServer::Open(stream, 0);
                           ScriptedServer::Read(stream);
                           v1::WriteStreamResponse response;
                           response.mutable_acks()->add_acks()->mutable_already_written();
                           stream.Write(response);
                           ScriptedServer::ReadAll(stream);
                           return grpc::Status::OK;
                         }});
  WriterOptions options{.database = "demo"};
  options.writer_id = "w";
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1\nm f=2").ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 2);
  EXPECT_EQ(report.written_before, 2);
  EXPECT_TRUE(report.complete());
  EXPECT_FALSE(report.all_written());
}

// With a name the numbers say what is in: where something is given up, so is all behind it.
TEST(WriterOnScriptsTest, AWriterWithANameLeavesNoGap) {
  std::mutex mutex;
  std::vector<std::string> seen;
  const auto read = [&](ScriptedServer::Stream& stream) {
    v1::WriteStreamRequest request;
    while (stream.Read(&request)) {
      std::lock_guard lock(mutex);
      if (!request.has_batch()) continue;
      seen.push_back(
          fmt::format("{} {}", request.batch().sequence(), request.batch().line_protocol()));
    }
  };
  ScriptedServer server({[&](auto& stream) {
                           // It takes nothing until the first has waited too long.
                           ScriptedServer::Read(stream);
                           absl::SleepFor(absl::Milliseconds(1200));
                           return kGone;
                         },
                         [&](auto& stream) {
                           ScriptedServer::Read(stream);
                           ScriptedServer::Open(stream);
                           read(stream);
                           return kGone;
                         }});
  Told told;
  WriterOptions options{.database = "demo", .delivery_timeout = absl::Seconds(1)};
  options.batch_bytes = 1;
  options.min_backoff = absl::Milliseconds(1);
  options.max_backoff = absl::Milliseconds(1);
  options.writer_id = "w";
  told.ListenTo(options);
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=0", 10).ok());
  absl::SleepFor(absl::Milliseconds(700));
  ASSERT_TRUE(writer.AddLines("m f=1", 11).ok());
  EXPECT_EQ(writer.Flush(kLong).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(writer.AddLines("m f=2", 12).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(writer.Close(kLong).dropped, 2);
  EXPECT_THAT(told.dropped, ElementsAre(10, 11));
  EXPECT_THAT(told.drop_reasons, ElementsAre(DropReason::kTimeout, DropReason::kTimeout));
  EXPECT_THAT(seen, ElementsAre());
}

TEST(WriterOnScriptsTest, WhatTheServerDoesNotSayIsInIsNot) {
  ScriptedServer server({[](auto& stream) {
    ScriptedServer::Read(stream);
    ScriptedServer::Open(stream);
    ScriptedServer::Read(stream);
    ScriptedServer::Ack(stream, 0, 0);
    ScriptedServer::ReadAll(stream);
    return grpc::Status::OK;
  }});
  Told told;
  WriterOptions options{.database = "demo"};
  told.ListenTo(options);
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1\nm f=2\nm f=3").ok());
  const WriterReport report = writer.Close(kLong);
  EXPECT_EQ(report.written, 1);
  EXPECT_EQ(report.rejected, 2);
  EXPECT_EQ(told.rejected.size(), 2u);
}

TEST(WriterOnScriptsTest, OneThatWasReplacedWhileItWasAwayIsTold) {
  ScriptedServer server({BreaksAfterABatch, [](auto& stream) {
                           ScriptedServer::Read(stream);
                           // Its own last number was 0.
                           ScriptedServer::Open(stream, 1);
                           ScriptedServer::ReadAll(stream);
                           return grpc::Status::OK;
                         }});
  WriterOptions options{.database = "demo"};
  options.writer_id = "w";
  Writer writer(server.address(), options);
  ASSERT_TRUE(writer.AddLines("m f=1").ok());
  EXPECT_EQ(writer.Flush(kLong).code(), absl::StatusCode::kAborted);
  EXPECT_EQ(writer.Close(kLong).unknown, 1);
}

}  // namespace
}  // namespace sluice::client

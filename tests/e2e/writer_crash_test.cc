// A Writer whose server is killed and started again, again and again, while millions of points are
// added: each is there once, with the value that was added last, and each is reported once.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "client/writer.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using client::FieldView;

constexpr int kKills = 20;
constexpr int64_t kPoints = 10'000'000;
constexpr int kSeries = 100;
// Of every so many points one has a key that is written again and again.
constexpr int64_t kShared = 10;
constexpr int64_t kKeys = 1000;

nlohmann::json Rows(uint16_t port, const std::string& sql) {
  // What has been written in a hurry is merged first: until then the server may ask to come later.
  for (int i = 0; i < 60; ++i) {
    auto answer =
        fixture::Fetch(port, "GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql));
    if (answer && answer->status == 200) return nlohmann::json::parse(answer->body);
    fmt::print("{}\n", answer ? answer->body : "no answer");
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  return nlohmann::json();
}

TEST(WriterCrashTest, EveryPointIsThereOnceAndReportedOnce) {
  fixture::TempDir dir;
  const std::string data = dir.path() + "/data";
  const std::vector<std::string> flags = {"--create-databases"};
  auto server = std::make_unique<fixture::ServerProcess>(data, flags);
  fixture::Fetch(server->http_port(), "POST", "/api/v3/configure/database", R"({"db":"demo"})");
  const std::string address = server->grpc_address();
  const std::string http = fmt::format("--http-listen=127.0.0.1:{}", server->http_port());
  const std::string grpc = "--grpc-listen=" + address;

  std::atomic<int64_t> written = 0;
  std::atomic<int64_t> rejected = 0;
  size_t most_bytes = 0;
  client::WriterOptions options{.database = "demo"};
  options.max_buffer_bytes = size_t{32} << 20;
  options.on_written = [&](const client::BatchResult& batch) { written += batch.written_points; };
  options.on_rejected = [&](const client::RejectedPoint&) { ++rejected; };
  client::Writer writer(address, options);
  std::vector<client::Series> series;
  for (int i = 0; i < kSeries; ++i) {
    const std::string host = fmt::format("h{}", i);
    series.push_back(*writer.AddSeries("own", {{"host", host}}));
  }
  const client::Series shared = *writer.AddSeries("shared", {});

  std::atomic<int64_t> added = 0;
  std::jthread adder([&] {
    for (int64_t n = 0; n < kPoints; ++n) {
      absl::Status status;
      if (n % kShared == 0) {
        status = writer.Add(shared, absl::FromUnixNanos(1 + n / kShared % kKeys), {{"n", n}});
      } else {
        status = writer.Add(series[static_cast<size_t>(n % kSeries)], absl::FromUnixNanos(n + 1),
                            {{"n", n}, {"f", static_cast<double>(n) / 2}});
      }
      ASSERT_TRUE(status.ok()) << status;
      ++added;
      if (n % 1000 != 0) continue;
      const client::WriterReport report = writer.report();
      most_bytes = std::max(most_bytes, report.buffered_bytes);
      ASSERT_EQ(report.added, report.written + report.rejected + report.dropped + report.unknown +
                                  report.pending);
    }
  });
  // Each time when so many more have been added, and a little later or sooner.
  std::mt19937 random(std::random_device{}());
  for (int kill = 0; kill < kKills; ++kill) {
    const auto due = kPoints / (kKills + 1) * (kill + 1);
    while (added < due) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
    server->Kill();
    auto again = flags;
    again.push_back(http);
    again.push_back(grpc);
    server = std::make_unique<fixture::ServerProcess>(data, again);
  }
  adder.join();
  const client::WriterReport report = writer.Close(absl::Seconds(60));
  fmt::print("{} reconnects, {} batches sent again, {} bytes held at most\n", report.reconnects,
             report.resent_batches, most_bytes);
  EXPECT_EQ(report.added, kPoints);
  EXPECT_EQ(report.written, kPoints);
  EXPECT_EQ(written, kPoints);
  EXPECT_EQ(rejected, 0);
  EXPECT_TRUE(report.complete());
  EXPECT_GE(report.reconnects, kKills);
  EXPECT_LE(most_bytes, options.max_buffer_bytes);

  const int64_t own = kPoints - kPoints / kShared;
  const nlohmann::json sums =
      Rows(server->http_port(), "SELECT count(*) AS n, sum(n) AS s FROM own");
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums[0]["n"].get<int64_t>(), own);
  const int64_t all = kPoints * (kPoints - 1) / 2;
  const int64_t tenths = kShared * (kPoints / kShared) * (kPoints / kShared - 1) / 2;
  EXPECT_EQ(sums[0]["s"].get<int64_t>(), all - tenths);
  const nlohmann::json last = Rows(server->http_port(), "SELECT n FROM shared ORDER BY time");
  ASSERT_EQ(last.size(), static_cast<size_t>(kKeys));
  for (int64_t key = 0; key < kKeys; ++key) {
    EXPECT_EQ(last[static_cast<size_t>(key)]["n"].get<int64_t>(),
              (kPoints / kShared - kKeys + key) * kShared);
  }
}

}  // namespace
}  // namespace sluice

// Kills the real server in the middle of a stream of writes, again and again, and looks for every
// acknowledged point (contract W-12), and for requests of which only a part is there (W-15).

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "client/client.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

constexpr int kRounds = 25;
constexpr int kHttpWriters = 3;
constexpr int64_t kPointsARequest = 20;

// What was written, by request: every request has a number, and kPointsARequest points with it.
class Ledger {
 public:
  int64_t NextRequest() { return next_++; }
  void Acknowledge(int64_t request) {
    std::lock_guard lock(mutex_);
    acknowledged_.insert(request);
  }
  const std::set<int64_t>& acknowledged() const { return acknowledged_; }

 private:
  std::atomic<int64_t> next_ = 1;
  std::mutex mutex_;
  std::set<int64_t> acknowledged_;
};

// Points in two tables; now and then a new column, so that schema and points commit together.
std::string BodyOf(int64_t request) {
  std::string body;
  for (int64_t i = 0; i < kPointsARequest; ++i) {
    std::string extra = request % 7 == 0 ? fmt::format(",extra{}=1i", request / 7 % 200) : "";
    body += fmt::format("t{},host=h{} request={}i{} {}\n", i % 2, i, request, extra,
                        1'700'000'000'000'000'000 + request * 1000 + i);
  }
  return body;
}

void WriteOverHttp(uint16_t port, Ledger& ledger) {
  fixture::HttpConnection connection(port);
  while (true) {
    int64_t request = ledger.NextRequest();
    std::string body = BodyOf(request);
    connection.Send(
        fmt::format("POST /api/v2/write?bucket=demo HTTP/1.1\r\nHost: x\r\n"
                    "Content-Length: {}\r\n\r\n{}",
                    body.size(), body));
    auto answer = connection.Receive();
    if (!answer) return;
    ASSERT_EQ(answer->status, 204) << answer->body;
    ledger.Acknowledge(request);
  }
}

void WriteOverGrpc(const std::string& address, Ledger& ledger) {
  // It comes back at another address.
  auto client = client::Client::Connect(address, {.wait_for_server = false});
  while (true) {
    int64_t request = ledger.NextRequest();
    auto result = client->Write("demo", BodyOf(request));
    if (!result.ok()) return;
    ASSERT_EQ(result->ingested_points, kPointsARequest);
    ledger.Acknowledge(request);
  }
}

// How many points of each request are there.
std::map<int64_t, int64_t> PointsByRequest(uint16_t port) {
  std::map<int64_t, int64_t> counts;
  auto answer =
      fixture::Fetch(port, "GET",
                     "/api/v3/query_sql?db=demo&q=" +
                         fixture::EncodeParameter(
                             "SELECT request, count(*) AS n FROM (SELECT request FROM t0 UNION "
                             "ALL SELECT request FROM t1) GROUP BY request"));
  if (!answer || answer->status != 200) return counts;
  for (const auto& row : nlohmann::json::parse(answer->body)) {
    counts[row["request"].get<int64_t>()] = row["n"].get<int64_t>();
  }
  return counts;
}

void ExpectNothingLost(const Ledger& ledger, uint16_t port) {
  std::map<int64_t, int64_t> counts = PointsByRequest(port);
  for (int64_t request : ledger.acknowledged()) {
    ASSERT_EQ(counts[request], kPointsARequest) << "request " << request << " was acknowledged";
  }
  for (const auto& [request, count] : counts) {
    ASSERT_EQ(count, kPointsARequest) << "request " << request << " is there in part";
  }
}

TEST(CrashTest, EveryAcknowledgedPointSurvivesKilling) {
  fixture::TempDir dir;
  std::string data = dir.path() + "/data";
  Ledger ledger;
  std::random_device seed;
  std::mt19937 random(seed());
  for (int round = 0; round < kRounds; ++round) {
    fixture::ServerProcess server(data);
    if (round == 0) {
      ASSERT_EQ(fixture::Fetch(server.http_port(), "POST", "/api/v3/configure/database",
                               R"({"db":"demo"})")
                    ->status,
                200);
    } else {
      ExpectNothingLost(ledger, server.http_port());
    }
    size_t before = ledger.acknowledged().size();
    std::vector<std::thread> writers;
    for (int i = 0; i < kHttpWriters; ++i) {
      writers.emplace_back([&] { WriteOverHttp(server.http_port(), ledger); });
    }
    writers.emplace_back([&] { WriteOverGrpc(server.grpc_address(), ledger); });
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random() % 300));
    server.Kill();
    for (std::thread& writer : writers) writer.join();
    // A round without writes would show nothing; a very early kill may leave one so.
    if (round > 0 && ledger.acknowledged().size() == before) --round;
  }
  fixture::ServerProcess server(data);
  ExpectNothingLost(ledger, server.http_port());
  EXPECT_GT(ledger.acknowledged().size(), 100u);
}

TEST(StopTest, ASignalEndsTheServerInOrder) {
  fixture::TempDir dir;
  std::string data = dir.path() + "/data";
  {
    fixture::ServerProcess server(data);
    fixture::Fetch(server.http_port(), "POST", "/api/v3/configure/database", R"({"db":"demo"})");
    EXPECT_EQ(fixture::Fetch(server.http_port(), "POST", "/write?db=demo", "m f=1i 1")->status,
              204);
    EXPECT_EQ(server.Terminate(), 0);
  }
  fixture::ServerProcess server(data);
  EXPECT_EQ(fixture::Fetch(server.http_port(), "GET", "/api/v3/query_sql?db=demo&q=SELECT+f+FROM+m")
                ->body,
            R"([{"f":1}])");
}

TEST(StartTest, WhatIsWrongIsSaidAndNothingIsTouched) {
  auto [code, text] = fixture::RunServerToItsEnd({"--http-listen", "nowhere"});
  EXPECT_EQ(code, 2);
  EXPECT_NE(text.find("'nowhere' is not HOST:PORT"), std::string::npos) << text;
  EXPECT_NE(fixture::RunServerToItsEnd({"--no-such-flag"}).first, 0);
  EXPECT_EQ(fixture::RunServerToItsEnd({"--help"}).first, 0);
}

TEST(StartTest, ADataDirectoryInUseIsRefused) {
  fixture::TempDir dir;
  std::string data = dir.path() + "/data";
  fixture::ServerProcess server(data);
  auto [code, text] = fixture::RunServerToItsEnd(
      {"--data-dir", data, "--http-listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"});
  EXPECT_EQ(code, 1);
  EXPECT_NE(text.find("cannot open the store"), std::string::npos) << text;
}

}  // namespace
}  // namespace sluice

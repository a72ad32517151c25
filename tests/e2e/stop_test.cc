// Stops the real server under load, again and again: every call is answered or UNAVAILABLE
// (contract W-95), nobody's open watch delays it (W-94), and nothing that was acknowledged is lost.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "sluice/v1/admin.grpc.pb.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 20;
constexpr int kClients = 32;

// What 32 clients saw.
struct Seen {
  std::atomic<int64_t> next{1};
  std::atomic<int64_t> acknowledged{0};
  std::atomic<Clock::rep> last_answer{0};
  std::mutex mutex;
  // Other answers than OK and UNAVAILABLE, by code and text.
  std::map<std::string, int> others;

  void Add(const grpc::Status& status) {
    if (status.ok()) last_answer = Clock::now().time_since_epoch().count();
    if (status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE) return;
    std::lock_guard lock(mutex);
    ++others[fmt::format("{}: {}", static_cast<int>(status.error_code()), status.error_message())];
  }
};

std::shared_ptr<grpc::Channel> Connect(const std::string& address, int number) {
  grpc::ChannelArguments arguments;
  // Each has a connection of its own.
  arguments.SetInt("sluice.number", number);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void WriteUntil(const std::atomic<bool>& stop, const std::string& address, int number, Seen& seen) {
  auto stub = v1::WriteService::NewStub(Connect(address, number));
  while (!stop) {
    grpc::ClientContext context;
    v1::WriteRequest request;
    request.set_database("demo");
    request.set_line_protocol(fmt::format("m n=1i {}", seen.next++));
    v1::WriteResponse response;
    const grpc::Status status = stub->Write(&context, request, &response);
    if (status.ok()) ++seen.acknowledged;
    seen.Add(status);
  }
}

void AskUntil(const std::atomic<bool>& stop, const std::string& address, int number, Seen& seen) {
  const auto channel = Connect(address, number);
  auto queries = v1::QueryService::NewStub(channel);
  auto admin = v1::AdminService::NewStub(channel);
  while (!stop) {
    grpc::ClientContext context;
    v1::QueryRequest request;
    request.set_database("demo");
    request.set_sql("SELECT count(*) FROM m");
    v1::QueryResponse response;
    auto stream = queries->Query(&context, request);
    while (stream->Read(&response)) {
    }
    seen.Add(stream->Finish());
    grpc::ClientContext other;
    v1::ListDatabasesResponse databases;
    seen.Add(admin->ListDatabases(&other, v1::ListDatabasesRequest(), &databases));
  }
}

int64_t CountPoints(uint16_t port) {
  auto answer = fixture::Fetch(
      port, "GET", "/api/v3/query_sql?db=demo&format=csv&q=SELECT+count(*)+AS+n+FROM+m");
  return answer && answer->status == 200 ? std::atoll(answer->body.c_str() + 3) : -1;
}

TEST(StopTest, UnderLoadEveryCallIsAnsweredOrUnavailable) {
  fixture::TempDir dir;
  const std::string data = dir.path() + "/data";
  Seen seen;
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE(round);
    fixture::ServerProcess server(
        data, {fmt::format("--drain-seconds={}", round % 2), "--create-databases"});
    if (round == 0) {
      fixture::Fetch(server.http_port(), "POST", "/write?db=demo", "m n=1i 0");
    } else {
      EXPECT_GE(CountPoints(server.http_port()), seen.acknowledged.load());
    }
    std::atomic<bool> stop = false;
    std::vector<std::jthread> clients;
    for (int i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        const auto act = i % 8 == 7 ? AskUntil : WriteUntil;
        act(stop, server.grpc_address(), i, seen);
      });
    }
    // Two that watch, and one that is only connected.
    auto health = grpc::health::v1::Health::NewStub(Connect(server.grpc_address(), 100));
    grpc::ClientContext watching[2];
    std::unique_ptr<grpc::ClientReader<grpc::health::v1::HealthCheckResponse>> watches[2];
    for (int i = 0; i < 2; ++i) {
      watches[i] = health->Watch(&watching[i], grpc::health::v1::HealthCheckRequest());
      grpc::health::v1::HealthCheckResponse response;
      EXPECT_TRUE(watches[i]->Read(&response));
    }
    fixture::HttpConnection idle(server.http_port());
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    EXPECT_EQ(server.Terminate(), 0);
    const auto since_answer =
        Clock::now().time_since_epoch() - Clock::duration(seen.last_answer.load());
    EXPECT_LT(since_answer, std::chrono::milliseconds(1000 * (1 + round % 2)));
    stop = true;
    clients.clear();
    for (auto& watch : watches) {
      grpc::health::v1::HealthCheckResponse response;
      while (watch->Read(&response)) {
      }
      EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
    }
  }
  for (const auto& [other, count] : seen.others) ADD_FAILURE() << count << " times " << other;
  EXPECT_GT(seen.acknowledged, 1000);
}

TEST(StopTest, AHangupIsAStopInOrder) {
  fixture::TempDir dir;
  fixture::ServerProcess server(dir.path() + "/data", {"--drain-seconds=0"});
  kill(server.pid(), SIGHUP);
  EXPECT_EQ(server.WaitForEnd(), 0);
}

}  // namespace
}  // namespace sluice

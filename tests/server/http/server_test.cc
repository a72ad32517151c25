// The transport by itself, over raw sockets: what any handler may rely on.

#include "server/http/server.h"

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "server/resources/workers.h"
#include "tests/fixture/http_client.h"

namespace sluice::http {
namespace {

using fixture::Fetch;
using fixture::HttpConnection;

Response Failed(const absl::Status& status) {
  Response response;
  response.status = absl::IsUnavailable(status) ? 503 : absl::IsInvalidArgument(status) ? 400 : 500;
  response.body = std::string(status.message());
  return response;
}

constexpr Errors kErrors = {.failed = Failed, .no_such_route = nullptr, .wrong_method = nullptr};

TEST(ServerLimitTest, IdleConnectionsMakeRoomForNewOnes) {
  server::Workers workers(1);
  server::MemoryBudget budget(1 << 20);
  auto server = Server::Start({.port = 0, .max_connections = 20, .errors = kErrors}, budget,
                              [&](const RequestHead&) {
                                return Deferred{
                                    OnWorker(workers, [](std::string_view) { return Response(); })};
                              })
                    .value();
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 100; ++i) idle.push_back(std::make_unique<HttpConnection>(server->port()));
  // Who comes faster than others can be closed is turned away, and comes again.
  std::optional<fixture::HttpAnswer> answer;
  for (int i = 0; i < 100 && !answer; ++i) {
    answer = Fetch(server->port(), "GET", "/");
    if (!answer) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->status, 204);
  EXPECT_TRUE(idle.front()->AtEnd());
}

TEST(ServerLimitTest, WhoSendsAByteNowAndThenIsCutOffAndHoldsNoMemory) {
  server::Workers workers(1);
  server::MemoryBudget budget(size_t{64} << 20);
  auto server =
      Server::Start(
          {.port = 0, .silence = std::chrono::milliseconds(300), .errors = kErrors}, budget,
          [&](const RequestHead&) {
            return Deferred{OnWorker(workers, [](std::string_view) { return Response(); })};
          })
          .value();
  HttpConnection slow(server->port());
  slow.Send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
  bool open = true;
  for (int i = 0; i < 100 && open; ++i) {
    open = slow.Send("x");
    EXPECT_LE(budget.used_bytes(), 16384u);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_FALSE(open);
  EXPECT_EQ(Fetch(server->port(), "POST", "/", std::string(100000, 'x'))->status, 204);
}

// Every byte is a sign of life, and none is a head.
TEST(ServerLimitTest, WhoSendsAHeadByteByByteIsCutOff) {
  server::MemoryBudget budget(size_t{64} << 20);
  auto server =
      Server::Start({.port = 0, .silence = std::chrono::milliseconds(300), .errors = kErrors},
                    budget, [](const RequestHead&) { return Beginning(Response()); })
          .value();
  HttpConnection quiet(server->port());
  HttpConnection slow(server->port());
  slow.Send("G");
  bool open = true;
  for (int i = 0; i < 100 && open; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    open = slow.Send("E");
  }
  EXPECT_FALSE(open);
  // Who has not begun has time.
  quiet.Send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(quiet.Receive()->status, 204);
}

// A worker that finds no memory, say.
TEST(ServerFaultTest, WhatIsThrownIsAnAnswerAndAStopEnds) {
  server::Workers workers(1);
  server::MemoryBudget budget(size_t{64} << 20);
  auto server =
      Server::Start({.port = 0, .errors = kErrors}, budget, [&](const RequestHead&) {
        return Deferred{OnWorker(
            workers, [](std::string_view) -> absl::StatusOr<Response> { throw std::bad_alloc(); })};
      }).value();
  EXPECT_EQ(Fetch(server->port(), "POST", "/", "x")->status, 503);
  EXPECT_EQ(Fetch(server->port(), "POST", "/", "x")->status, 503);
  server->Stop(std::chrono::seconds(1));
}

TEST(ServerFaultTest, WhatTheHandlerThrowsEndsItsConnectionOnly) {
  server::MemoryBudget budget(size_t{64} << 20);
  auto server = Server::Start({.port = 0, .errors = kErrors}, budget,
                              [&](const RequestHead& head) -> Beginning {
                                if (head.target == "/throw") throw std::bad_alloc();
                                return Response();
                              })
                    .value();
  EXPECT_FALSE(Fetch(server->port(), "GET", "/throw"));
  EXPECT_EQ(Fetch(server->port(), "GET", "/")->status, 204);
  server->Stop(std::chrono::seconds(1));
}

TEST(ServerFaultTest, WhoForgetsToAnswerAnswersAllTheSame) {
  server::MemoryBudget budget(size_t{64} << 20);
  auto server = Server::Start({.port = 0, .errors = kErrors}, budget, [](const RequestHead& head) {
                  const bool throws = head.target == "/throw";
                  return Deferred{[throws](std::string_view, Respond) {
                    if (throws) throw std::bad_alloc();
                  }};
                }).value();
  EXPECT_EQ(Fetch(server->port(), "POST", "/", "x")->status, 500);
  EXPECT_EQ(Fetch(server->port(), "POST", "/throw", "x")->status, 500);
  server->Stop(std::chrono::seconds(1));
}

// Whoever answers, from wherever: at once, or from another thread when the client has long gone.
TEST(ServerTest, AnswersComeFromAnyThreadAndAtAnyTime) {
  server::MemoryBudget budget(size_t{64} << 20);
  std::vector<std::thread> threads;
  std::mutex mutex;
  auto server = Server::Start({.port = 0, .errors = kErrors}, budget, [&](const RequestHead& head) {
                  const bool later = head.target == "/later";
                  return Deferred{[&, later](std::string_view body, Respond respond) {
                    Response response;
                    response.status = 200;
                    response.body = std::string(body);
                    if (!later) return respond(std::move(response));
                    std::lock_guard lock(mutex);
                    threads.emplace_back(
                        [respond = std::move(respond), response = std::move(response)]() mutable {
                          std::this_thread::sleep_for(std::chrono::milliseconds(100));
                          respond(std::move(response));
                        });
                  }};
                }).value();
  EXPECT_EQ(Fetch(server->port(), "POST", "/", "now")->body, "now");
  EXPECT_EQ(Fetch(server->port(), "POST", "/later", "soon")->body, "soon");
  {
    HttpConnection gone(server->port());
    gone.Send("POST /later HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  server->Stop(std::chrono::seconds(5));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(threads.size(), 2u);
}

}  // namespace
}  // namespace sluice::http

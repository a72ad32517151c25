// The HTTP door over raw sockets: what a client may send, byte by byte, and what it gets.

#include "server/http/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libdeflate.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/fixture/http_client.h"
#include "tests/fixture/running_server.h"

namespace sluice::http {
namespace {

using fixture::Fetch;
using fixture::HttpAnswer;
using fixture::HttpConnection;
using testing::HasSubstr;
using testing::StartsWith;

constexpr size_t kMaxBodyBytes = 100000;

class HttpServerTest : public testing::Test {
 protected:
  HttpServerTest() { server_.CreateDatabase("demo"); }

  uint16_t port() const { return server_.http_port(); }
  HttpAnswer Write(const std::string& body, const std::string& headers = "",
                   const std::string& target = "/write?db=demo") {
    return Fetch(port(), "POST", target, body, headers).value();
  }
  std::string Query(const std::string& sql, const std::string& format = "json") {
    return Fetch(port(), "GET",
                 fmt::format("/api/v3/query_sql?db=demo&format={}&q={}", format,
                             fixture::EncodeParameter(sql)))
        ->body;
  }

  fixture::RunningServer server_{{.limits = {}, .max_body_bytes = kMaxBodyBytes}};
};

std::string WriteRequest(const std::string& body, const std::string& version = "1.1",
                         const std::string& headers = "") {
  return fmt::format("POST /write?db=demo HTTP/{}\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n{}",
                     version, headers, body.size(), body);
}

TEST_F(HttpServerTest, AnswersPing) {
  for (const char* method : {"GET", "HEAD"}) {
    HttpAnswer answer =
        Fetch(port(), method, "/ping?wait_for_leader=1s", "", "Content-Encoding: gzip\r\n").value();
    EXPECT_EQ(answer.status, 204);
    EXPECT_EQ(answer.headers["x-influxdb-version"], "test");
    EXPECT_EQ(answer.headers["x-influxdb-build"], "Sluice");
    EXPECT_FALSE(answer.headers.contains("content-length"));
  }
  EXPECT_EQ(Fetch(port(), "GET", "/health")->status, 200);
}

TEST_F(HttpServerTest, UnknownRoutesAndMethods) {
  EXPECT_EQ(Fetch(port(), "GET", "/nothing")->status, 404);
  HttpAnswer answer = Fetch(port(), "GET", "/write?db=demo").value();
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.headers["allow"], "POST");
}

TEST_F(HttpServerTest, KeepsConnectionsAndTakesPipelinedRequests) {
  HttpConnection connection(port());
  connection.Send(WriteRequest("m f=1 1") + WriteRequest("bad") + WriteRequest("m f=3 3"));
  EXPECT_EQ(connection.Receive()->status, 204);
  EXPECT_EQ(connection.Receive()->status, 400);
  EXPECT_EQ(connection.Receive()->status, 204);
  connection.Send(WriteRequest("m f=4 4"));
  EXPECT_EQ(connection.Receive()->status, 204);
  EXPECT_EQ(Query("SELECT count(*) AS n FROM m"), R"([{"n":3}])");
}

TEST_F(HttpServerTest, SpeaksHttp10) {
  HttpConnection connection(port());
  connection.Send(WriteRequest("m f=1 1", "1.0"));
  EXPECT_EQ(connection.Receive()->status, 204);
  EXPECT_TRUE(connection.AtEnd());
  HttpConnection query(port());
  query.Send("GET /api/v3/query_sql?db=demo&q=SELECT+f+FROM+m HTTP/1.0\r\n\r\n");
  EXPECT_EQ(query.Receive()->body, R"([{"f":1.0}])");
}

TEST_F(HttpServerTest, TakesChunkedBodies) {
  HttpConnection connection(port());
  connection.Send("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  connection.Send("3\r\nm f\r\n");
  connection.Send("6;ext=1\r\n=1i 1\n\r\n0\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 204);
  connection.Send(WriteRequest("m f=2i 2"));
  EXPECT_EQ(connection.Receive()->status, 204);
}

TEST_F(HttpServerTest, RefusesTransferCodingsThatItDoesNotKnowAndReadsNothingBehindThem) {
  for (const char* coding : {"gzip", "chunked, gzip", "gzip, chunked", "xchunked"}) {
    HttpConnection connection(port());
    connection.Send(
        fmt::format("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {}\r\n\r\n"
                    "GET /ping HTTP/1.1\r\n\r\n",
                    coding));
    EXPECT_EQ(connection.Receive()->status, 400) << coding;
    EXPECT_TRUE(connection.AtEnd()) << coding;
  }
}

TEST_F(HttpServerTest, RefusesMalformedAndEndlessChunks) {
  HttpConnection malformed(port());
  malformed.Send(
      "POST /write?db=demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nQQ\r\n");
  EXPECT_EQ(malformed.Receive()->status, 400);
  HttpConnection endless(port());
  endless.Send("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a=");
  endless.Send(std::string(size_t{1} << 20, 'a'));
  EXPECT_EQ(endless.Receive()->status, 400);
}

TEST_F(HttpServerTest, NamesInAnswersAreCut) {
  std::string name(60000, 'n');
  EXPECT_EQ(Write(name + " f=1\n").status, 204);
  HttpAnswer answer = Write(name + " f=1i\n");
  EXPECT_EQ(answer.status, 400);
  EXPECT_LT(answer.body.size(), 3000u);
}

TEST_F(HttpServerTest, AnswersExpectContinue) {
  HttpConnection connection(port());
  connection.Send(
      "POST /write?db=demo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
      "Content-Length: 7\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 100);
  connection.Send("m f=1 1");
  EXPECT_EQ(connection.Receive()->status, 204);
}

TEST_F(HttpServerTest, RefusesBeforeTheBodyIsSent) {
  HttpConnection connection(port());
  connection.Send("POST /write?db=none HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 404);
}

TEST_F(HttpServerTest, ARefusalCanBeReadWhileTheClientStillSends) {
  HttpConnection connection(port());
  size_t size = size_t{10} << 20;
  connection.Send(
      fmt::format("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", size));
  EXPECT_TRUE(connection.Send(std::string(size, 'x')));
  HttpAnswer answer = connection.Receive().value();
  EXPECT_EQ(answer.status, 413);
  EXPECT_THAT(answer.body, HasSubstr("max request size (100000 bytes) exceeded"));
}

TEST_F(HttpServerTest, ExactlyTheSizeLimitPasses) {
  std::string line = "m f=1 1\n";
  std::string body = std::string(kMaxBodyBytes - line.size(), '\n') + line;
  EXPECT_EQ(Write(body).status, 204);
  EXPECT_EQ(Write(body + "\n").status, 413);
  HttpConnection connection(port());
  connection.Send("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  connection.Send(fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", body.size() + 1, body + "\n"));
  EXPECT_EQ(connection.Receive()->status, 413);
}

TEST_F(HttpServerTest, TakesGzip) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string body(1000, '\0');
  std::string_view text = "m f=1 1";
  body.resize(
      libdeflate_gzip_compress(compressor, text.data(), text.size(), body.data(), body.size()));
  libdeflate_free_compressor(compressor);
  EXPECT_EQ(Write(body, "Content-Encoding: gzip\r\n").status, 204);
  EXPECT_EQ(Write(body + "x", "Content-Encoding: gzip\r\n").status, 400);
  EXPECT_EQ(Write("m f=1", "Content-Encoding: br\r\n").status, 400);
}

TEST_F(HttpServerTest, ABodyThatIsNotUtf8IsRefusedWhole) {
  HttpAnswer answer = Write("m f=1 1\nm f=\"\xff\" 2");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(
      answer.body,
      R"({"code":"invalid","message":"body content is not valid utf8: invalid utf-8 sequence starting at index 13"})");
}

TEST_F(HttpServerTest, NamesTheMissingDatabaseTheWayEachRouteDoes) {
  EXPECT_EQ(
      Write("m f=1", "", "/write?db=none").body,
      R"({"code":"not found","message":"database \"none\" not found","error":"database not found: \"none\""})");
  HttpAnswer v2 = Write("m f=1", "", "/api/v2/write?bucket=none");
  EXPECT_EQ(v2.body, R"({"code":"not found","message":"database \"none\" not found"})");
  EXPECT_EQ(v2.headers["x-influxdb-error"], "database \"none\" not found");
}

TEST_F(HttpServerTest, BadParametersAreExplained) {
  for (const char* target :
       {"/write", "/write?db=", "/write?db=-x", "/write?db=demo&precision=d",
        "/write?db=demo&db=demo", "/api/v2/write?db=demo",
        "/api/v2/write?bucket=demo&precision=auto", "/api/v3/write_lp?db=demo&precision=m",
        "/api/v3/write_lp?db=demo&accept_partial=yes", "/write?db=%zz",
        "/write?db=demo&precision=S"}) {
    HttpAnswer answer = Write("m f=1", "", target);
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_THAT(answer.body, StartsWith(R"({"code":"invalid","message":")")) << target;
  }
}

TEST_F(HttpServerTest, TakesTheParametersThatClientsSend) {
  server_.CreateDatabase("demo/policy");
  for (const char* target :
       {"/write?db=demo&rp=&precision=&consistency=", "/write?db=demo&rp=AutoGen&precision=n",
        "/write?db=demo&rp=''", "/write?db=demo&rp=Policy&u=me&p=you",
        "/api/v2/write?org=o&orgID=1&bucket=demo%2Fpolicy&precision=millisecond",
        "/api/v3/write_lp?db=demo&precision=second&no_sync=true&accept_partial=false"}) {
    EXPECT_EQ(Write("m f=1", "Content-Type: application/octet-stream\r\n", target).status, 204)
        << target;
  }
}

TEST_F(HttpServerTest, CreatesDatabases) {
  auto create = [&](const std::string& body) {
    return Fetch(port(), "POST", "/api/v3/configure/database", body)->status;
  };
  EXPECT_EQ(create(R"({"db":"new","retention_period":"30d"})"), 200);
  EXPECT_EQ(create(R"({"db":"new"})"), 409);
  EXPECT_EQ(create(R"({"db":"a b"})"), 400);
  EXPECT_EQ(create(R"({"db":"x","retention_period":"soon"})"), 400);
  EXPECT_EQ(create(R"({"db":"x","retention_period":5})"), 400);
  EXPECT_EQ(create("[]"), 400);
  EXPECT_EQ(create("{"), 400);
  EXPECT_EQ(Write("m f=1", "", "/write?db=new").status, 204);
}

TEST_F(HttpServerTest, QueriesByGetAndPost) {
  Write("m,h=a f=1.5 1");
  EXPECT_EQ(Query("SELECT h, f FROM m"), R"([{"h":"a","f":1.5}])");
  EXPECT_EQ(Query("SELECT h, f FROM m", "csv"), "h,f\r\na,1.5\r\n");
  auto post = Fetch(port(), "POST", "/api/v3/query_sql",
                    R"({"db":"demo","q":"SELECT h FROM m","format":"jsonl"})");
  EXPECT_EQ(post->body, "{\"h\":\"a\"}\n");
  EXPECT_EQ(post->headers["content-type"], "application/jsonl");
  EXPECT_EQ(Fetch(port(), "POST", "/api/v3/query_sql", "nonsense")->status, 400);
  EXPECT_EQ(Fetch(port(), "GET", "/api/v3/query_sql?db=demo")->status, 400);
  EXPECT_EQ(Fetch(port(), "GET", "/api/v3/query_sql?db=none&q=SELECT+1")->status, 404);
  EXPECT_EQ(Fetch(port(), "GET", "/api/v3/query_sql?db=demo&q=SELEC")->status, 400);
}

TEST_F(HttpServerTest, StreamsLargeResults) {
  std::string sql =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) "
      "SELECT x FROM c";
  nlohmann::json rows = nlohmann::json::parse(Query(sql));
  EXPECT_EQ(rows.size(), 50000u);
  EXPECT_EQ(rows.back()["x"], 50000);
  HttpConnection old(port());
  old.Send(fmt::format("GET /api/v3/query_sql?db=demo&q={} HTTP/1.0\r\n\r\n",
                       fixture::EncodeParameter(sql)));
  EXPECT_EQ(nlohmann::json::parse(old.Receive()->body).size(), 50000u);
}

TEST_F(HttpServerTest, AnErrorInTheMiddleOfAResultCutsTheConnection) {
  std::string sql =
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 50000) "
      "SELECT CASE WHEN x < 40000 THEN x ELSE abs(-9223372036854775807 - 1) END FROM c";
  EXPECT_FALSE(
      Fetch(port(), "GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql)));
}

TEST_F(HttpServerTest, WhatIsNotHttpIsRefusedAndCostsNobodyElse) {
  HttpConnection good(port());
  const std::vector<std::string> nonsense = {
      "\x16\x03\x01\x02" + std::string(500, '\xff'),
      "GET\r\n\r\n",
      "POST /write?db=demo HTTP/1.1\r\nContent-Length: x\r\n\r\n",
      "GET /ping HTTP/1.1\r\nX: " + std::string(1 << 20, 'h') + "\r\n\r\n",
      "POST /write?db=demo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
  };
  for (const std::string& bytes : nonsense) {
    HttpConnection connection(port());
    connection.Send(bytes);
    std::optional<HttpAnswer> answer = connection.Receive();
    EXPECT_EQ(answer ? answer->status : 400, 400);
  }
  good.Send(WriteRequest("m f=1 1"));
  EXPECT_EQ(good.Receive()->status, 204);
}

TEST_F(HttpServerTest, ABodyCutShortIngestsNothing) {
  {
    HttpConnection connection(port());
    connection.Send(
        "POST /write?db=demo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nm f=1 1\n");
    connection.ShutDownSending();
    EXPECT_FALSE(connection.Receive());
  }
  Write("other f=1");
  EXPECT_THAT(Query("SELECT * FROM m"), HasSubstr("no such table: m"));
}

TEST_F(HttpServerTest, ManyIdleConnectionsDoNotKeepOthersWaiting) {
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 500; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(port()));
    idle.back()->Send("POST /write?db=demo HT");
  }
  EXPECT_EQ(Write("m f=1").status, 204);
}

TEST(HttpServerLimitTest, IdleConnectionsMakeRoomForNewOnes) {
  server::Workers workers(1);
  auto server = Server::Start({.port = 0, .max_connections = 20}, [&](const RequestHead&) {
                  return Deferred{&workers, [](std::string_view) { return Response(); }};
                }).value();
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 100; ++i) idle.push_back(std::make_unique<HttpConnection>(server->port()));
  EXPECT_EQ(Fetch(server->port(), "GET", "/")->status, 204);
  EXPECT_TRUE(idle.front()->AtEnd());
}

TEST(HttpServerStartTest, AnAddressInUseIsAnError) {
  fixture::RunningServer server;
  auto second = Server::Start({.port = server.http_port()},
                              [](const RequestHead&) { return Beginning(Response()); });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("cannot listen for HTTP on 127.0.0.1:"));
}

}  // namespace
}  // namespace sluice::http

// The HTTP door over raw sockets: what a client may send, byte by byte, and what it gets.

#include "server/http/server.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "absl/strings/escaping.h"
#include "server/influx/error_response.h"
#include "server/influx/health_route.h"
#include "tests/fixture/compress.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/running_server.h"

namespace sluice::influx {
namespace {

using fixture::Fetch;
using fixture::HttpAnswer;
using fixture::HttpConnection;
using http::Beginning;
using http::RequestHead;
using http::Response;
using http::Server;
using testing::HasSubstr;
using testing::StartsWith;

constexpr size_t kMaxBodyBytes = 100000;
constexpr char kPage[] = "https://page.example";

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

  fixture::RunningServer server_{{.max_body_bytes = kMaxBodyBytes, .cors_origins = {kPage}}};
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

TEST_F(HttpServerTest, IsReadyUntilItDrains) {
  EXPECT_EQ(Fetch(port(), "GET", "/ready")->status, 200);
  for (const char* service : {"sluice.v1.WriteService", "sluice.v1.QueryService"}) {
    EXPECT_EQ(Fetch(port(), "GET", std::string("/ready?service=") + service)->status, 200);
  }
  EXPECT_EQ(Fetch(port(), "GET", "/ready?service=liveness")->status, 404);
  server_.readiness().Drain();
  EXPECT_EQ(Fetch(port(), "GET", "/ready?service=sluice.v1.QueryService")->status, 503);
  HttpAnswer answer = Fetch(port(), "GET", "/ready").value();
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"code":"unavailable","message":"the server is shutting down"})");
  EXPECT_EQ(answer.headers["retry-after"], "1");
  EXPECT_EQ(Write("m f=1").status, 503);
  EXPECT_EQ(Fetch(port(), "GET", "/health")->status, 200);
}

TEST_F(HttpServerTest, TellsItsMetrics) {
  Write("m f=1 1\nbad");
  HttpAnswer answer = Fetch(port(), "GET", "/metrics").value();
  EXPECT_EQ(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr(R"(sluice_points_ingested_total{door="/write"} 1)"));
  EXPECT_THAT(answer.body,
              HasSubstr(R"(sluice_write_requests_total{door="/write",result="partial"} 1)"));
  Write(std::string(kMaxBodyBytes + 1, 'x'));
  EXPECT_THAT(
      Fetch(port(), "GET", "/metrics")->body,
      HasSubstr(R"(sluice_write_requests_total{door="/write",result="resource_exhausted"} 1)"));
}

TEST_F(HttpServerTest, WhoIsSentAwayHoldsNoMemory) {
  server::MemoryBudget::Share most(server_.budget());
  ASSERT_TRUE(most.Grow(server_.budget().max_bytes() - 40000).ok());
  HttpConnection connection(port());
  connection.Send("POST /write?db=demo HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n");
  connection.Send(std::string(60000, 'x'));
  EXPECT_EQ(connection.Receive()->status, 503);
  EXPECT_EQ(server_.budget().used_bytes(), server_.budget().max_bytes() - 40000);
}

TEST_F(HttpServerTest, ABodyOfJsonHasALimitOfItsOwn) {
  EXPECT_EQ(Fetch(port(), "POST", "/api/v3/query_sql", std::string(kMaxBodyBytes + 1, ' '))->status,
            413);
}

TEST_F(HttpServerTest, PagesOfAnAllowedOriginMayUseIt) {
  const std::string from = fmt::format("Origin: {}\r\n", kPage);
  HttpAnswer preflight = Fetch(port(), "OPTIONS", "/write?db=demo", "", from).value();
  EXPECT_EQ(preflight.status, 204);
  EXPECT_EQ(preflight.headers["access-control-allow-origin"], kPage);
  EXPECT_THAT(preflight.headers["access-control-allow-methods"], HasSubstr("POST"));
  EXPECT_THAT(preflight.headers["access-control-allow-headers"], HasSubstr("Authorization"));
  EXPECT_EQ(Write("m f=1", from).headers["access-control-allow-origin"], kPage);
  EXPECT_EQ(Write("m f=1", from, "/write?db=none").headers["access-control-allow-origin"], kPage);
  HttpAnswer other = Fetch(port(), "OPTIONS", "/write", "", "Origin: https://else\r\n").value();
  EXPECT_EQ(other.status, 405);
  EXPECT_FALSE(other.headers.contains("access-control-allow-origin"));
}

TEST_F(HttpServerTest, ARefusalForWantOfMemoryComesBackLater) {
  server::MemoryBudget::Share all(server_.budget());
  ASSERT_TRUE(all.Grow(server_.budget().max_bytes() - 100).ok());
  EXPECT_EQ(Write("m f=1 1").status, 204);
  HttpAnswer answer = Write(std::string(200, '\n') + "m f=1 2");
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.headers["retry-after"], "1");
  EXPECT_EQ(answer.headers["x-influx-error"], answer.headers["x-influxdb-error"]);
  all.Clear();
  EXPECT_EQ(Write(std::string(200, '\n') + "m f=1 2").status, 204);
  EXPECT_EQ(server_.budget().used_bytes(), 0u);
}

TEST_F(HttpServerTest, WhoReadsRetryAfterAsMillisecondsIsNotToldIt) {
  server_.readiness().Drain();
  HttpAnswer answer = Write("m f=1", "User-Agent: influxdb-client-js/1.35.0\r\n");
  EXPECT_EQ(answer.status, 503);
  EXPECT_FALSE(answer.headers.contains("retry-after"));
}

TEST_F(HttpServerTest, DryRunsTellEverythingAndStoreNothing) {
  const std::string target = "/api/v3/write_lp?db=demo&dry_run=true";
  EXPECT_EQ(Write("m f=1 1", "", target).status, 204);
  std::string bad;
  for (int i = 0; i < 150; ++i) bad += "bad\n";
  HttpAnswer answer = Write("m f=1 1\n" + bad, "", target);
  EXPECT_EQ(answer.status, 400);
  nlohmann::json body = nlohmann::json::parse(answer.body);
  EXPECT_EQ(body["error"],
            "dry run, nothing was written: 1 points would be ingested, 150 lines rejected");
  EXPECT_EQ(body["data"].size(), 150u);
  EXPECT_THAT(Query("SELECT * FROM m"), HasSubstr("no such table"));
  EXPECT_EQ(Query("SELECT * FROM sluice_rejections"), "[]");
  EXPECT_THAT(Fetch(port(), "GET", "/metrics")->body,
              HasSubstr(R"(sluice_points_ingested_total{door="/api/v3/write_lp"} 0)"));
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
  std::string body = fixture::Gzip("m f=1 1");
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
  EXPECT_EQ(create(R"({"db":"x","max_tables":0})"), 400);
  EXPECT_EQ(create(R"({"db":"x","max_columns":"5"})"), 400);
  EXPECT_EQ(create(R"({"db":"a b"})"), 400);
  EXPECT_EQ(create(R"({"db":"x","retention_period":"soon"})"), 400);
  EXPECT_EQ(create(R"({"db":"x","retention_period":5})"), 400);
  EXPECT_EQ(create("[]"), 400);
  EXPECT_EQ(create("{"), 400);
  EXPECT_EQ(Write("m f=1", "", "/write?db=new").status, 204);
}

TEST_F(HttpServerTest, ListsChangesAndDropsDatabases) {
  const std::string route = "/api/v3/configure/database";
  auto put = [&](const std::string& body) { return Fetch(port(), "PUT", route, body)->status; };
  EXPECT_EQ(Fetch(port(), "GET", route + "?format=json")->body, R"([{"iox::database":"demo"}])");
  EXPECT_EQ(Fetch(port(), "GET", route + "?format=csv")->body, "iox::database\r\ndemo\r\n");
  EXPECT_EQ(put(R"({"db":"demo","retention_period":"1h","max_tables":1})"), 200);
  EXPECT_EQ(Write("a f=1 1").status, 400);
  // No retention period means none, and the limit stays.
  EXPECT_EQ(put(R"({"db":"demo"})"), 200);
  EXPECT_EQ(Write("a f=1 1").status, 204);
  EXPECT_EQ(Write("b f=1 1").status, 400);
  EXPECT_EQ(put(R"({"db":"none"})"), 404);
  EXPECT_EQ(Fetch(port(), "DELETE", route + "?db=demo")->status, 200);
  EXPECT_EQ(Fetch(port(), "DELETE", route + "?db=demo")->status, 404);
  EXPECT_EQ(Fetch(port(), "DELETE", route)->status, 400);
  EXPECT_EQ(Fetch(port(), "GET", route)->body, "[]");
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
  const std::string target = "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql);
  EXPECT_FALSE(Fetch(port(), "GET", target));
  // With HTTP/1.0 the end of the connection is that of the body: only a reset tells of the error.
  HttpConnection old(port());
  old.Send("GET " + target + " HTTP/1.0\r\n\r\n");
  EXPECT_FALSE(old.Receive());
  EXPECT_TRUE(old.was_reset());
}

TEST_F(HttpServerTest, OneLongValueMakesNoOtherLineLong) {
  const std::string body = Query(
      "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT 998) "
      "SELECT CASE n WHEN 998 THEN hex(zeroblob(500000)) ELSE 1 END AS a FROM c",
      "pretty");
  EXPECT_GT(body.size(), 1'000'000u);
  EXPECT_LT(body.size(), 1'500'000u);
}

// Four workers serve all queries.
TEST_F(HttpServerTest, AQueryEndsWhenItsClientLeaves) {
  const std::string endless = "/api/v3/query_sql?db=demo&q=" +
                              fixture::EncodeParameter(
                                  "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
                                  "SELECT count(*) FROM c");
  {
    std::vector<std::unique_ptr<HttpConnection>> leaving;
    for (int i = 0; i < 20; ++i) {
      leaving.push_back(std::make_unique<HttpConnection>(port()));
      leaving.back()->Send("GET " + endless + " HTTP/1.1\r\nHost: x\r\n\r\n");
    }
    while (server_.governor().open() < 4) std::this_thread::yield();
  }
  // Far less than the time that a query may take.
  EXPECT_EQ(Query("SELECT 1 AS n"), R"([{"n":1}])");
  for (int i = 0; i < 500 && server_.governor().open() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(server_.governor().open(), 0u);
}

TEST_F(HttpServerTest, ParametersAreBound) {
  Write("m,room=Kitchen f=1 1\nm,room=Attic f=2 2");
  auto post = [&](const std::string& params) {
    return Fetch(
               port(), "POST", "/api/v3/query_sql",
               R"({"db":"demo","q":"SELECT f FROM m WHERE room = $room","params":)" + params + "}")
        .value();
  };
  EXPECT_EQ(post(R"({"room":"Attic"})").body, R"([{"f":2.0}])");
  EXPECT_EQ(post(R"({"room":null})").body, "[]");
  EXPECT_EQ(post(R"({"room":[1]})").status, 400);
  EXPECT_EQ(post(R"([1])").status, 400);
  EXPECT_THAT(post("null").body, HasSubstr("`params` has no value for it"));
  EXPECT_EQ(Fetch(port(), "GET",
                  "/api/v3/query_sql?db=demo&q=SELECT+f+FROM+m+WHERE+f=$f&params=" +
                      fixture::EncodeParameter(R"({"f":1})"))
                ->body,
            R"([{"f":1.0}])");
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

class HttpTokenTest : public testing::Test {
 protected:
  HttpTokenTest() { server_.CreateDatabase("demo"); }

  HttpAnswer Send(const std::string& method, const std::string& target, const std::string& token,
                  const std::string& body = "") {
    return Fetch(server_.http_port(), method, target, body,
                 fmt::format("Authorization: Bearer {}\r\n", token))
        .value();
  }

  fixture::RunningServer server_{{.auth = true}};
  std::string admin_ = server_.CreateToken({.name = "root", .admin = true});
  std::string writer_ = server_.CreateToken({.name = "writer", .grants = {{"demo", false, true}}});
};

TEST_F(HttpTokenTest, EveryRouteAsksForItsRight) {
  struct Route {
    const char* method;
    const char* target;
  };
  for (Route route : std::initializer_list<Route>{{"POST", "/write?db=demo"},
                                                  {"POST", "/api/v2/write?bucket=demo"},
                                                  {"POST", "/api/v3/write_lp?db=demo"},
                                                  {"GET", "/api/v3/query_sql?db=demo&q=SELECT+1"},
                                                  {"GET", "/api/v3/configure/database"},
                                                  {"POST", "/api/v3/configure/database"},
                                                  {"PUT", "/api/v3/configure/database"},
                                                  {"DELETE", "/api/v3/configure/database?db=demo"},
                                                  {"POST", "/api/v3/configure/token/admin"},
                                                  {"POST", "/api/v3/configure/token/named_admin"},
                                                  {"POST", "/api/v3/enterprise/configure/token"},
                                                  {"DELETE", "/api/v3/configure/token"}}) {
    HttpAnswer answer = Send(route.method, route.target, "nonsense", "m f=1");
    EXPECT_EQ(answer.status, 401) << route.target;
    EXPECT_EQ(answer.body, R"({"code":"unauthorized","message":"unauthorized access"})");
    bool writes = std::string_view(route.target).find("/write") != std::string_view::npos;
    EXPECT_EQ(Send(route.method, route.target, writer_, "m f=1").status, writes ? 204 : 401)
        << route.target;
  }
  for (const char* target : {"/ping", "/health", "/ready", "/metrics"}) {
    EXPECT_LT(Fetch(server_.http_port(), "GET", target)->status, 300) << target;
  }
}

TEST_F(HttpTokenTest, TakesTheTokenInEveryForm) {
  std::string basic;
  absl::Base64Escape("anyone:" + writer_, &basic);
  for (const std::string& header :
       {"Token " + writer_, "Bearer " + writer_, "Basic " + basic, "bearer " + writer_}) {
    EXPECT_EQ(Fetch(server_.http_port(), "POST", "/write?db=demo", "m f=1",
                    "Authorization: " + header + "\r\n")
                  ->status,
              204)
        << header;
  }
  const std::string in_query = "/write?db=demo&u=anyone&p=" + writer_;
  EXPECT_EQ(Fetch(server_.http_port(), "POST", in_query, "m f=1")->status, 204);
  EXPECT_EQ(
      Fetch(server_.http_port(), "POST", in_query, "m f=1", "Authorization: Token \r\n")->status,
      204);
  // The header goes first, and only /write takes a parameter.
  EXPECT_EQ(Send("POST", in_query, "wrong", "m f=1").status, 401);
  EXPECT_EQ(
      Fetch(server_.http_port(), "POST", "/api/v2/write?bucket=demo&p=" + writer_, "m f=1")->status,
      401);
}

TEST_F(HttpTokenTest, ChecksInTheOrderOfTheContract) {
  auto status = [&](const std::string& target, const std::string& token) {
    return Send("POST", target, token, "m f=1").status;
  };
  EXPECT_EQ(status("/write?db=-&precision=x", "wrong"), 401);
  EXPECT_EQ(status("/write?db=none&precision=x", writer_), 400);
  EXPECT_EQ(status("/write?db=none", writer_), 404);
  server_.CreateDatabase("other");
  EXPECT_EQ(status("/write?db=other", writer_), 401);
}

TEST_F(HttpTokenTest, ManagesTokensAsInfluxDb3Does) {
  HttpAnswer made = Send("POST", "/api/v3/configure/token/named_admin", admin_,
                         R"({"token_name":"ci","expiry_secs":3600})");
  ASSERT_EQ(made.status, 201);
  nlohmann::json json = nlohmann::json::parse(made.body);
  EXPECT_EQ(json["name"], "ci");
  EXPECT_FALSE(json["expiry"].is_null());
  std::string ci = json["token"];
  EXPECT_EQ(Send("GET", "/api/v3/configure/database", ci).status, 200);
  EXPECT_EQ(
      Send("POST", "/api/v3/configure/token/named_admin", admin_, R"({"token_name":"ci"})").status,
      409);
  std::string permissions =
      R"({"token_name":"r","permissions":[{"resource_type":"db","resource_names":["demo"],)"
      R"("actions":["read"]}]})";
  HttpAnswer reader = Send("POST", "/api/v3/enterprise/configure/token", ci, permissions);
  ASSERT_EQ(reader.status, 201);
  std::string r = nlohmann::json::parse(reader.body)["token"];
  EXPECT_EQ(Send("GET", "/api/v3/query_sql?db=demo&q=SELECT+1", r).status, 200);
  EXPECT_EQ(Send("POST", "/write?db=demo", r, "m f=1").status, 401);
  EXPECT_EQ(Send("POST", "/api/v3/configure/token/admin", ci).status, 201);
  EXPECT_EQ(Send("POST", "/api/v3/configure/token/admin", ci).status, 409);
  EXPECT_EQ(Send("DELETE", "/api/v3/configure/token?token_name=ci", admin_).status, 200);
  EXPECT_EQ(Send("GET", "/api/v3/configure/database", ci).status, 401);
  EXPECT_EQ(Send("DELETE", "/api/v3/configure/token?token_name=ci", admin_).status, 404);
  EXPECT_EQ(Send("DELETE", "/api/v3/configure/token", admin_).status, 400);
  for (const char* body :
       {"", "[]", "{}", R"({"token_name":5})", R"({"token_name":"x"})",
        R"({"token_name":"x","permissions":[]})", R"({"token_name":"x","permissions":[5]})",
        R"({"token_name":"x","permissions":[{"resource_type":"db","resource_names":["demo"]}]})",
        R"({"token_name":"x","permissions":[{"resource_type":"table","resource_names":["demo"],)"
        R"("actions":["read"]}]})",
        R"({"token_name":"x","permissions":[{"resource_type":"db","resource_names":["demo"],)"
        R"("actions":["drop"]}]})"}) {
    EXPECT_EQ(Send("POST", "/api/v3/enterprise/configure/token", admin_, body).status, 400) << body;
  }
}

TEST_F(HttpServerTest, TakesTargetsAsProxiesAreSentThemAndEmptyLinesBeforeARequest) {
  HttpConnection connection(port());
  for (const char* target :
       {"http://host:8181/ping", "HTTP://host/ping", "https://host/ping?a=b"}) {
    connection.Send(fmt::format("\r\n\r\nGET {} HTTP/1.1\r\nHost: host\r\n\r\n", target));
    EXPECT_EQ(connection.Receive()->status, 204) << target;
  }
  connection.Send("GET http://host HTTP/1.1\r\nHost: host\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 404);
  connection.Send("GET http://host?q HTTP/1.1\r\nHost: host\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 404);
  connection.Send(std::string(100'000, '\n') + "GET /ping HTTP/1.1\r\nHost: host\r\n\r\n");
  EXPECT_EQ(connection.Receive()->status, 204);
}

TEST_F(HttpServerTest, OnV3TooItIsSaidThatThereAreMoreRejections) {
  std::string body;
  for (int i = 0; i < 150; ++i) body += "m\n";
  auto answer = nlohmann::json::parse(Write(body, "", "/api/v3/write_lp?db=demo").body);
  EXPECT_EQ(answer["data"].size(), 100u);
  EXPECT_EQ(answer["rejected_lines"], 150);
  EXPECT_FALSE(nlohmann::json::parse(Write("m", "", "/api/v3/write_lp?db=demo").body)
                   .contains("rejected_lines"));
}

TEST(HttpServerStartTest, WhileItStartsItSaysSoAndIsAlive) {
  auto status = [](const std::string& target) {
    RequestHead head = {.method = "GET", .target = target, .headers = {}};
    return std::get<Response>(AnswerWhileStarting(head, "1")).status;
  };
  EXPECT_EQ(status("/ping"), 204);
  EXPECT_EQ(status("/health"), 200);
  EXPECT_EQ(status("/ready"), 503);
  EXPECT_EQ(status("/write?db=demo"), 503);
}

TEST(HttpServerStartTest, AnAddressInUseIsAnError) {
  fixture::RunningServer server;
  auto second = Server::Start({.port = server.http_port(), .errors = kErrors}, server.budget(),
                              [](const RequestHead&) { return Beginning(Response()); });
  EXPECT_EQ(second.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(second.status().message()),
              HasSubstr("cannot listen for HTTP on 127.0.0.1:"));
}

}  // namespace
}  // namespace sluice::influx

// What an operator sees of the real binary: its log, its metrics, what is under way.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using fixture::Fetch;
using testing::HasSubstr;
using testing::Not;

constexpr char kTrace[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

class ObservabilityTest : public testing::Test {
 protected:
  std::string Log() const {
    std::ostringstream text;
    text << std::ifstream(data_ + ".log").rdbuf();
    return text.str();
  }
  // Each line of the log is an object; those whose key has that value.
  std::vector<nlohmann::json> Lines(const std::string& key, const std::string& value) const {
    std::vector<nlohmann::json> lines;
    std::istringstream log(Log());
    for (std::string line; std::getline(log, line);) {
      nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
      EXPECT_TRUE(json.is_object()) << line;
      if (json.is_object() && json.value(key, "") == value) lines.push_back(std::move(json));
    }
    return lines;
  }
  static double Metric(const fixture::ServerProcess& server, const std::string& name) {
    const std::string text = "\n" + Fetch(server.http_port(), "GET", "/metrics")->body;
    const size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + name.size() + 2));
  }

  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
};

TEST_F(ObservabilityTest, RefusalsAreLoggedWithWhoAndWhyAndBounded) {
  fixture::ServerProcess server(data_, {"--log-format=json"},
                                fixture::ServerProcess::Auth::kTokens);
  std::string token;
  std::ifstream(data_ + "/admin-token") >> token;
  const auto admin = client::Client::Connect(server.grpc_address(), {.token = token});
  ASSERT_TRUE(admin->CreateDatabase("demo").ok());
  const auto reader =
      admin->CreateToken({.name = "reader", .permissions = {{"demo", true, false}}});
  ASSERT_TRUE(reader.ok());
  // A tenth of a thousand would be enough to fill a disk with.
  const std::string secret = "sluice_not-a-token-but-a-secret";
  for (int i = 0; i < 100; ++i) {
    const auto answer = Fetch(server.http_port(), "POST", "/api/v2/write?bucket=demo", "m f=1",
                              "Authorization: Bearer " + secret + "\r\nX-Request-Id: id-" +
                                  std::to_string(i) + "\r\ntraceparent: " + kTrace + "\r\n");
    ASSERT_EQ(answer->status, 401);
    EXPECT_EQ(answer->headers.at("x-request-id"), "id-" + std::to_string(i));
  }
  const auto refused = Lines("reason", "TOKEN_INVALID");
  ASSERT_EQ(refused.size(), 5u);
  EXPECT_EQ(refused[0]["message"], "request refused");
  EXPECT_EQ(refused[0]["request_id"], "id-0");
  EXPECT_EQ(refused[0]["traceparent"], kTrace);
  EXPECT_EQ(refused[0]["method"], "POST /api/v2/write");
  EXPECT_EQ(refused[0]["code"], "401");
  EXPECT_THAT(std::string(refused[0]["peer"]), HasSubstr("127.0.0.1:"));
  EXPECT_EQ(Metric(server, R"(sluice_requests_refused_total{door="http",reason="TOKEN_INVALID"})"),
            100);
  // Who is known and may not is named.
  const auto may_not = client::Client::Connect(server.grpc_address(), {.token = reader->secret});
  EXPECT_EQ(may_not->Write("demo", "m f=1").status().code(), absl::StatusCode::kPermissionDenied);
  const auto denied = Lines("reason", "TOKEN_WITHOUT_RIGHT");
  ASSERT_EQ(denied.size(), 1u);
  EXPECT_EQ(denied[0]["principal"], "reader");
  EXPECT_EQ(denied[0]["database"], "demo");
  EXPECT_EQ(denied[0]["door"], "grpc");
  // The parameter that a client of InfluxDB 1 sends its password by.
  Fetch(server.http_port(), "POST", "/write?db=demo&u=x&p=" + secret, "m f=1");
  EXPECT_THAT(Log(), Not(HasSubstr("a-secret")));
  EXPECT_THAT(Log(), Not(HasSubstr(token)));
  EXPECT_THAT(Log(), Not(HasSubstr(reader->secret)));
}

TEST_F(ObservabilityTest, WhatAnAdministratorDoesIsAudited) {
  fixture::ServerProcess server(data_, {"--log-format=json"},
                                fixture::ServerProcess::Auth::kTokens);
  std::string token;
  std::ifstream(data_ + "/admin-token") >> token;
  const auto admin = client::Client::Connect(server.grpc_address(), {.token = token});
  ASSERT_TRUE(admin->CreateDatabase("one").ok());
  ASSERT_TRUE(admin->CreateToken({.name = "t", .permissions = {{"one", true, true}}}).ok());
  ASSERT_TRUE(admin->ListTokens().ok());
  ASSERT_TRUE(admin->DeleteToken("t").ok());
  const std::string as_admin = "Authorization: Bearer " + token + "\r\n";
  Fetch(server.http_port(), "POST", "/api/v3/configure/database", R"({"db":"two"})", as_admin);
  Fetch(server.http_port(), "DELETE", "/api/v3/configure/database?db=two", "", as_admin);
  Fetch(server.http_port(), "DELETE", "/api/v3/configure/database?db=one");
  std::vector<std::string> seen;
  for (const auto& line : Lines("message", "audit")) {
    seen.push_back(std::string(line["method"]) + " " + line.value("target", "") + " " +
                   std::string(line["code"]) + " " + line.value("principal", ""));
  }
  EXPECT_THAT(seen, testing::ElementsAre("/sluice.v1.AdminService/CreateDatabase one OK _admin",
                                         "/sluice.v1.AdminService/CreateToken t OK _admin",
                                         "/sluice.v1.AdminService/DeleteToken t OK _admin",
                                         "POST /api/v3/configure/database two 200 _admin",
                                         "DELETE /api/v3/configure/database two 200 _admin",
                                         "DELETE /api/v3/configure/database  401 "));
  // And what was asked for.
  const auto lines = Lines("message", "audit");
  EXPECT_THAT(std::string(lines[1]["details"]),
              testing::AllOf(HasSubstr("database: \"one\""), HasSubstr("write: true")));
  EXPECT_EQ(lines[3]["details"], R"({"db":"two"})");
}

TEST_F(ObservabilityTest, ADatabaseThatAWriteHasMadeIsAudited) {
  fixture::ServerProcess server(data_, {"--log-format=json", "--create-databases"});
  for (int i = 0; i < 2; ++i) {
    Fetch(server.http_port(), "POST", "/api/v2/write?bucket=made", "m f=1");
  }
  const auto lines = Lines("message", "audit");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["database"], "made");
  EXPECT_EQ(lines[0]["door"], "/api/v2/write");
  EXPECT_THAT(std::string(lines[0]["peer"]), HasSubstr("127.0.0.1"));
}

// What a probe is told is no refusal.
TEST_F(ObservabilityTest, AProbeOfAServerThatIsNotReadyIsNothingToTell) {
  fixture::ServerProcess server(data_,
                                {"--log-format=json", "--min-free-disk-bytes=1000000000000000"});
  EXPECT_EQ(Fetch(server.http_port(), "GET", "/ready")->status, 503);
  EXPECT_EQ(Fetch(server.http_port(), "GET", "/ready?service=sluice.v1.QueryService")->status, 200);
  EXPECT_EQ(Metric(server, R"(sluice_http_requests_total{code="503",method="GET",path="/ready"})"),
            1);
  EXPECT_THAT(Fetch(server.http_port(), "GET", "/metrics")->body,
              Not(HasSubstr("sluice_requests_refused_total{")));
  EXPECT_THAT(Lines("message", "request refused"), testing::IsEmpty());
}

TEST_F(ObservabilityTest, AnEndThatWasNotInOrderIsSeenAfterwards) {
  bool unclean = false;
  for (const bool killed : {false, true, false}) {
    fixture::ServerProcess server(data_, {"--log-format=json"});
    EXPECT_EQ(Metric(server, "sluice_unclean_start"), unclean ? 1 : 0);
    unclean = killed;
    if (killed) {
      server.Kill();
    } else {
      EXPECT_EQ(server.Terminate(), 0);
    }
  }
  fixture::ServerProcess server(data_, {"--log-format=json"});
  EXPECT_EQ(Metric(server, "sluice_unclean_start"), 0);
}

// Whoever may do nothing writes no log.
TEST_F(ObservabilityTest, RefusedAdministrationIsAuditedAndBounded) {
  fixture::ServerProcess server(data_, {"--log-format=json"},
                                fixture::ServerProcess::Auth::kTokens);
  const auto stranger = client::Client::Connect(server.grpc_address());
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(stranger->DropDatabase("demo").code(), absl::StatusCode::kUnauthenticated);
    Fetch(server.http_port(), "DELETE", "/api/v3/configure/database?db=demo");
  }
  EXPECT_EQ(Lines("message", "audit").size(), 5u);
}

TEST_F(ObservabilityTest, ASlowRequestIsSeenWhileItLastsAndLoggedAfter) {
  fixture::ServerProcess server(data_, {"--log-format=json", "--slow-request-seconds=1"});
  const auto client = client::Client::Connect(server.grpc_address());
  ASSERT_TRUE(client->CreateDatabase("demo").ok());
  ASSERT_TRUE(client->Write("demo", "m f=1").ok());
  std::jthread slow([&] {
    Fetch(server.http_port(), "GET",
          "/api/v3/query_sql?db=demo&q=" +
              fixture::EncodeParameter("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 "
                                       "FROM n WHERE i < 8000000) SELECT count(*) FROM n, m"),
          "", "X-Request-Id: slow-one\r\n");
  });
  std::string seen;
  for (int i = 0; i < 500 && seen.find("slow-one") == std::string::npos; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    seen = Fetch(server.http_port(), "GET", "/debug/requests")->body;
  }
  const auto requests = nlohmann::json::parse(seen)["requests"];
  ASSERT_GE(requests.size(), 1u);
  EXPECT_EQ(requests[0]["request_id"], "slow-one");
  EXPECT_EQ(requests[0]["method"], "GET /api/v3/query_sql");
  slow.join();
  const auto lines = Lines("message", "slow request");
  // A fast machine has nothing to say.
  if (!lines.empty()) {
    EXPECT_EQ(lines[0]["request_id"], "slow-one");
    EXPECT_EQ(lines[0]["database"], "demo");
  }
  EXPECT_GE(Metric(server, "sluice_query_duration_seconds_count"), 1);
}

TEST_F(ObservabilityTest, OnlyAdminsSeeWhatIsUnderWay) {
  fixture::ServerProcess server(data_, {}, fixture::ServerProcess::Auth::kTokens);
  std::string token;
  std::ifstream(data_ + "/admin-token") >> token;
  EXPECT_EQ(Fetch(server.http_port(), "GET", "/debug/requests")->status, 401);
  EXPECT_EQ(Fetch(server.http_port(), "GET", "/debug/requests", "",
                  "Authorization: Bearer " + token + "\r\n")
                ->status,
            200);
}

// A name that nobody has can be anything, and is no label.
TEST_F(ObservabilityTest, StrangersMakeNoLabels) {
  fixture::ServerProcess server(data_);
  for (int i = 0; i < 20; ++i) {
    Fetch(server.http_port(), "GET", "/nothing/" + std::to_string(i));
    Fetch(server.http_port(), "BREW", "/api/v2/write");
  }
  EXPECT_EQ(Metric(server, R"(sluice_http_requests_total{code="404",method="other",path="other"})"),
            20);
  EXPECT_THAT(Fetch(server.http_port(), "GET", "/metrics")->body, Not(HasSubstr("nothing")));
}

}  // namespace
}  // namespace sluice

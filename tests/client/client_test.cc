// The client library against a real server: every call of the gRPC services.

#include "client/client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"
#include "sluice/v1/query.grpc.pb.h"
#include "tests/fixture/running_server.h"

namespace sluice::client {
namespace {

class ClientTest : public testing::Test {
 protected:
  std::vector<std::string> Select(const std::string& sql) {
    std::vector<std::string> rows;
    absl::Status status =
        client_->Query("demo", sql, {.on_columns = {}, .on_row = [&](const auto& row) {
                                       std::string text;
                                       for (const Value& v : row) text += ToText(v) + "|";
                                       rows.push_back(text);
                                     }});
    if (!status.ok()) rows.push_back("error: " + std::string(status.message()));
    return rows;
  }

  fixture::RunningServer server_;
  std::unique_ptr<Client> client_ = Client::Connect(server_.grpc_address());
};

using Rows = std::vector<std::string>;

TEST_F(ClientTest, ManagesDatabases) {
  Database made = client_->CreateDatabase("demo", absl::Hours(48)).value();
  EXPECT_EQ(made.retention_period, absl::Hours(48));
  EXPECT_LT(absl::Now() - made.create_time, absl::Minutes(1));
  EXPECT_EQ(client_->CreateDatabase("demo", {}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(client_->CreateDatabase("a b", {}).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->CreateDatabase("x", absl::Seconds(-1)).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(client_->SetRetention("demo", {})->retention_period, std::nullopt);
  EXPECT_EQ(client_->GetDatabase("demo")->retention_period, std::nullopt);
  ASSERT_TRUE(client_->CreateDatabase("another", {}).ok());
  EXPECT_EQ(client_->ListDatabases()->at(0).name, "another");
  EXPECT_TRUE(client_->DropDatabase("demo").ok());
  EXPECT_EQ(client_->GetDatabase("demo").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_->DropDatabase("demo").code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, WritesAndQueriesEveryType) {
  client_->CreateDatabase("demo", {}).value();
  WriteResult result =
      client_->Write("demo", "m,t=x f=1.5,i=-2i,u=18446744073709551615u,s=\"y\",b=f 1").value();
  EXPECT_EQ(result.ingested_points, 1);
  EXPECT_EQ(
      Select("SELECT *, x'01', NULL FROM m"),
      Rows{"1970-01-01T00:00:00.000000001Z|x|1.5|-2|18446744073709551615|y|false|x'01'|NULL|"});
  EXPECT_EQ(Select("SELECT f FROM m WHERE f > 5"), Rows());
  EXPECT_EQ(Select("SELECT CAST(x'ff' AS TEXT)"), Rows{"x'ff'|"});
  EXPECT_EQ(Select("SELEC"), Rows{"error: SQL: near \"SELEC\": syntax error"});
}

TEST_F(ClientTest, ShowsTables) {
  client_->CreateDatabase("demo", {}).value();
  client_->Write("demo", "b,t=x f=1\na u=1u").value();
  EXPECT_EQ(*client_->ListTables("demo"), (Rows{"a", "b"}));
  std::vector<Column> columns = client_->DescribeTable("demo", "b").value();
  ASSERT_EQ(columns.size(), 3u);
  EXPECT_EQ(columns[0].type, "time");
  EXPECT_EQ(columns[1].name, "t");
  EXPECT_EQ(columns[1].type, "tag");
  EXPECT_EQ(columns[2].type, "float");
  EXPECT_EQ(client_->DescribeTable("demo", "c").status().message(), "table \"c\" not found");
  EXPECT_EQ(client_->ListTables("none").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, APartialWriteIsOkOrAnErrorAsAsked) {
  client_->CreateDatabase("demo", {}).value();
  WriteResult result = client_->Write("demo", "m f=1\nbad").value();
  EXPECT_EQ(result.rejected_lines, 1);
  EXPECT_EQ(result.line_errors[0].byte_begin, 6);
  EXPECT_EQ(result.line_errors[0].byte_end, 9);
  EXPECT_EQ(result.line_errors[0].excerpt, "bad");
  auto failed = client_->Write("demo", "m f=2\nbad", {.partial_as_error = true});
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(failed.status().message()),
              testing::StartsWith("1 points ingested, 1 lines"));
  EXPECT_EQ(ViolationsOf(failed.status()).size(), 1u);
}

TEST_F(ClientTest, ABodyOverTheLimitIsRefusedByName) {
  client_->CreateDatabase("demo", {}).value();
  auto failed = client_->Write("demo", std::string((size_t{1} << 20) + 1, '\n'));
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(failed.status().message(), "max request size (1048576 bytes) exceeded");
}

TEST_F(ClientTest, LargeResultsArrive) {
  client_->CreateDatabase("demo", {}).value();
  EXPECT_EQ(
      Select("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) "
             "SELECT x FROM c")
          .size(),
      100000u);
}

TEST_F(ClientTest, AnAbandonedQueryEnds) {
  client_->CreateDatabase("demo", {}).value();
  auto hasty = Client::Connect(server_.grpc_address(), absl::Milliseconds(200));
  // More than there are workers.
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      EXPECT_EQ(hasty
                    ->Query("demo",
                            "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x FROM c) "
                            "SELECT count(*) FROM c",
                            {})
                    .code(),
                absl::StatusCode::kDeadlineExceeded);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Select("SELECT 1"), Rows{"1|"});
}

TEST(SlowReaderTest, AClientThatDoesNotReadIsCutOff) {
  fixture::RunningServer::Options options;
  options.query_timeout = std::chrono::milliseconds(300);
  fixture::RunningServer server(options);
  server.CreateDatabase("demo");
  auto stub = v1::QueryService::NewStub(
      grpc::CreateChannel(server.grpc_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  v1::QueryRequest request;
  request.set_database("demo");
  request.set_sql(
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100000) "
      "SELECT x, zeroblob(10000) FROM c");
  auto stream = stub->Query(&context, request);
  absl::SleepFor(absl::Seconds(2));
  v1::QueryResponse part;
  while (stream->Read(&part)) {
  }
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST(ClientWithoutServerTest, SaysThatTheServerIsNotThere) {
  EXPECT_EQ(Client::Connect("127.0.0.1:1")->ListDatabases().status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace sluice::client

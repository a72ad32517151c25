// The client library against a real server: every call of the gRPC services.

#include "client/client.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/time/clock.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"
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
  Database made = client_->CreateDatabase("demo", {.retention_period = absl::Hours(48)}).value();
  EXPECT_EQ(made.settings.retention_period, absl::Hours(48));
  EXPECT_LT(absl::Now() - made.create_time, absl::Minutes(1));
  EXPECT_EQ(client_->CreateDatabase("demo", {}).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(client_->CreateDatabase("a b", {}).status().code(), absl::StatusCode::kInvalidArgument);
  constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
  EXPECT_EQ(client_->CreateDatabase("x", {.retention_period = absl::Seconds(-1)}).status().code(),
            kInvalid);
  EXPECT_EQ(client_->CreateDatabase("x", {.max_tables = 0}).status().code(), kInvalid);
  EXPECT_EQ(client_->CreateDatabase("x", {.max_columns = 2001}).status().code(), kInvalid);
  ASSERT_TRUE(client_->CreateDatabase("another", {}).ok());
  EXPECT_EQ(client_->ListDatabases()->at(0).name, "another");
  EXPECT_TRUE(client_->DropDatabase("demo").ok());
  EXPECT_EQ(client_->GetDatabase("demo").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(client_->DropDatabase("demo").code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, ChangesOfADatabaseWhatItIsToldTo) {
  client_->CreateDatabase("demo", {.retention_period = absl::Hours(1), .max_tables = 7}).value();
  DatabaseSettings settings =
      client_->UpdateDatabase("demo", {.max_columns = std::optional<uint32_t>(9)})->settings;
  EXPECT_EQ(settings.retention_period, absl::Hours(1));
  EXPECT_EQ(settings.max_tables, 7u);
  EXPECT_EQ(settings.max_columns, 9u);
  DatabaseChange unset;
  unset.retention_period.emplace();
  unset.max_tables.emplace();
  settings = client_->UpdateDatabase("demo", unset)->settings;
  EXPECT_EQ(settings.retention_period, std::nullopt);
  EXPECT_EQ(settings.max_tables, std::nullopt);
  EXPECT_EQ(settings.max_columns, 9u);
  EXPECT_EQ(client_->UpdateDatabase("none", unset).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, ValidatesWithoutWriting) {
  client_->CreateDatabase("demo").value();
  Verdict verdict = client_->Validate("demo", "m f=1 1\nbad\nm f=t 2").value();
  EXPECT_EQ(verdict.accepted_points, 1);
  EXPECT_EQ(verdict.rejected_points, 2);
  ASSERT_EQ(verdict.errors.size(), 2u);
  EXPECT_EQ(verdict.errors[1].reason, "TYPE_CONFLICT");
  EXPECT_TRUE(client_->ListTables("demo")->empty());
  EXPECT_EQ(client_->Validate("none", "m f=1").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientTest, ListsWhatWasRejected) {
  client_->CreateDatabase("demo").value();
  client_->Write("demo", "m f=1 1\nbad\nworse").value();
  std::vector<Rejection> rejections = client_->ListRejections("demo", 10).value();
  ASSERT_EQ(rejections.size(), 2u);
  EXPECT_EQ(rejections[0].error.line->number, 3);
  EXPECT_EQ(rejections[0].door, "grpc");
  EXPECT_EQ(rejections[0].principal, "anonymous");
  EXPECT_THAT(rejections[0].peer, testing::StartsWith("127.0.0.1:"));
  EXPECT_LT(absl::Now() - rejections[0].time, absl::Minutes(1));
  EXPECT_EQ(client_->ListRejections("demo", 1)->size(), 1u);
  EXPECT_TRUE(client_->ListRejections("demo", 10, rejections[0].id)->empty());
}

// All workers are busy until after the deadline.
TEST_F(ClientTest, AWriteThatNobodyWaitsForAnyMoreIsNotMade) {
  client_->CreateDatabase("demo").value();
  for (int i = 0; i < 4; ++i) {
    server_.workers().Post([] { std::this_thread::sleep_for(std::chrono::milliseconds(600)); });
  }
  auto hasty = Client::Connect(server_.grpc_address(), {.timeout = absl::Milliseconds(200)});
  // More than is judged without a worker.
  std::string body;
  while (body.size() < 100'000) body += "m f=1\n";
  EXPECT_EQ(hasty->Write("demo", body).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(client_->ListTables("demo")->empty());
}

// Of two algorithms that gRPC has one is taken.
TEST_F(ClientTest, ADeflatedMessageIsRefused) {
  client_->CreateDatabase("demo").value();
  auto stub = v1::WriteService::NewStub(
      grpc::CreateChannel(server_.grpc_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_DEFLATE);
  v1::WriteRequest request;
  request.set_database("demo");
  request.set_line_protocol(std::string(size_t{1} << 20, '\n') + "m f=1");
  v1::WriteResponse response;
  EXPECT_EQ(stub->Write(&context, request, &response).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

class TokenTest : public testing::Test {
 protected:
  std::unique_ptr<Client> With(const std::string& token) {
    return Client::Connect(server_.grpc_address(), {.token = token});
  }

  fixture::RunningServer server_{{.auth = true}};
  std::string admin_ = server_.CreateToken({.name = "root", .admin = true});
};

TEST_F(TokenTest, TokensAreCreatedListedAndDeleted) {
  auto admin = With(admin_);
  admin->CreateDatabase("demo").value();
  const absl::Time expiry =
      absl::FromUnixSeconds(absl::ToUnixSeconds(absl::Now())) + absl::Hours(1);
  CreatedToken made =
      admin
          ->CreateToken(
              {.name = "w", .permissions = {{"demo", false, true}}, .expire_time = expiry})
          .value();
  EXPECT_EQ(made.token.expire_time, expiry);
  EXPECT_EQ(admin->CreateToken({.name = "w", .admin = true}).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(admin->CreateToken({.name = "x"}).status().code(), absl::StatusCode::kInvalidArgument);
  std::vector<Token> tokens = admin->ListTokens().value();
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_TRUE(tokens[0].admin);
  EXPECT_EQ(tokens[1].permissions[0].database, "demo");

  auto writer = With(made.secret);
  EXPECT_EQ(writer->Write("demo", "m f=1")->ingested_points, 1);
  constexpr absl::StatusCode kDenied = absl::StatusCode::kPermissionDenied;
  EXPECT_EQ(writer->ListTables("demo").status().code(), kDenied);
  EXPECT_EQ(writer->GetDatabase("demo").status().code(), kDenied);
  EXPECT_EQ(writer->ListRejections("demo", 1).status().code(), kDenied);
  EXPECT_EQ(writer->Query("demo", "SELECT 1", {}).code(), kDenied);
  EXPECT_EQ(writer->ListDatabases().status().code(), kDenied);
  EXPECT_EQ(writer->DropDatabase("demo").code(), kDenied);
  EXPECT_EQ(writer->ListTokens().status().code(), kDenied);
  ASSERT_TRUE(admin->DeleteToken("w").ok());
  EXPECT_EQ(writer->Write("demo", "m f=1").status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(admin->DeleteToken("w").code(), absl::StatusCode::kNotFound);
}

TEST_F(TokenTest, WithoutOneNothingIsAnswered) {
  for (const char* token : {"", "nonsense"}) {
    auto client = With(token);
    constexpr absl::StatusCode kUnknown = absl::StatusCode::kUnauthenticated;
    EXPECT_EQ(client->Write("demo", "m f=1").status().code(), kUnknown);
    EXPECT_EQ(client->Validate("demo", "m f=1").status().code(), kUnknown);
    EXPECT_EQ(client->Query("demo", "SELECT 1", {}).code(), kUnknown);
    EXPECT_EQ(client->CreateDatabase("demo").status().code(), kUnknown);
    EXPECT_EQ(client->ListTables("demo").status().code(), kUnknown);
    EXPECT_EQ(client->CreateToken({.name = "x", .admin = true}).status().code(), kUnknown);
  }
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
  EXPECT_EQ(result.rejected_points, 1);
  EXPECT_EQ(result.errors[0].line->byte_begin, 6);
  EXPECT_EQ(result.errors[0].line->byte_end, 9);
  EXPECT_EQ(result.errors[0].excerpt, "bad");
  auto failed = client_->Write("demo", "m f=2\nbad", {.partial_as_error = true});
  EXPECT_EQ(failed.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(failed.status().message()),
              testing::StartsWith("1 points ingested, 1 rejected"));
  EXPECT_EQ(ViolationsOf(failed.status()).size(), 1u);
}

// What was written to the one that was dropped is not in the new one.
TEST_F(ClientTest, ARequestIdIsThatOfOneDatabase) {
  const WriteOptions options{.request_id = "r"};
  for (int i = 0; i < 2; ++i) {
    client_->CreateDatabase("demo", {}).value();
    EXPECT_EQ(client_->Write("demo", "m f=1 1", options)->ingested_points, 1);
    EXPECT_EQ(client_->Write("demo", "m f=1 1", options)->ingested_points, 1);
    EXPECT_EQ(client_->Write("demo", "m f=2 1", options).status().code(),
              absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(*client_->ListTables("demo"), Rows{"m"});
    ASSERT_TRUE(client_->DropDatabase("demo").ok());
  }
}

// Also where the first makes the database.
TEST(ClientOfNewDatabasesTest, ARequestIdIsDoneOnce) {
  fixture::RunningServer server({.create_databases = true});
  auto client = Client::Connect(server.grpc_address());
  const WriteOptions options{.request_id = "r"};
  EXPECT_EQ(client->Write("new", "m f=1", options)->ingested_points, 1);
  EXPECT_EQ(client->Write("new", "m f=1", options)->ingested_points, 1);
  int64_t count = 0;
  ASSERT_TRUE(client
                  ->Query("new", "SELECT count(*) FROM m",
                          {.on_columns = {},
                           .on_row = [&](const auto& row) { count = std::get<int64_t>(row[0]); }})
                  .ok());
  EXPECT_EQ(count, 1);
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
  auto hasty = Client::Connect(server_.grpc_address(), {.timeout = absl::Milliseconds(200)});
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
  EXPECT_EQ(
      Client::Connect("127.0.0.1:1", {.wait_for_server = false})->ListDatabases().status().code(),
      absl::StatusCode::kUnavailable);
  // Or waits as long as it may.
  EXPECT_EQ(Client::Connect("127.0.0.1:1", {.timeout = absl::Milliseconds(300)})
                ->ListDatabases()
                .status()
                .code(),
            absl::StatusCode::kDeadlineExceeded);
}

}  // namespace
}  // namespace sluice::client

// A store that the version before wrote, killed in the middle: testdata/store_format3.tar.gz. It
// was made by that version's own program, see the numbers below, and ended by SIGKILL.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "client/client.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/shell.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using fixture::Fetch;
using fixture::RunShell;

constexpr int64_t kPoints = 1000;
constexpr int64_t kStart = 1'700'000'000'000'000'000;
constexpr int64_t kMinute = 60'000'000'000;

class UpgradeTest : public testing::Test {
 protected:
  UpgradeTest() {
    EXPECT_EQ(RunShell(fmt::format("mkdir -p {0} && tar -xzf "
                                   "tests/e2e/testdata/store_format3.tar.gz -C {0}",
                                   data_)),
              "");
  }

  nlohmann::json Rows(uint16_t port, const std::string& database, const std::string& sql) {
    const auto answer = Fetch(port, "GET",
                              "/api/v3/query_sql?db=" + fixture::EncodeParameter(database) +
                                  "&q=" + fixture::EncodeParameter(sql),
                              "", headers_);
    EXPECT_TRUE(answer && answer->status == 200) << (answer ? answer->body : "");
    return nlohmann::json::parse(answer->body, nullptr, false);
  }
  void ComparePoints(uint16_t port) {
    const auto rows =
        Rows(port, "demo", "SELECT room, floor, temp, n, u, \"on\", s, time FROM home ORDER BY n");
    ASSERT_EQ(rows.size(), kPoints);
    for (int64_t n = 0; n < kPoints; ++n) {
      const auto& row = rows[static_cast<size_t>(n)];
      ASSERT_EQ(row["n"], n);
      ASSERT_EQ(row["room"], fmt::format("r{}", n % 5));
      ASSERT_EQ(row["floor"], fmt::format("f{}", n % 2));
      // One was written again, after the merge and before the end.
      ASSERT_EQ(row["temp"], (n == 1 ? 999 : static_cast<double>(n)) + 0.25);
      ASSERT_EQ(row["u"], n);
      ASSERT_EQ(row["on"], n % 2 == 0);
      ASSERT_EQ(row["s"], fmt::format("text {}", n));
    }
    EXPECT_EQ(Rows(port, "demo", "SELECT f FROM m"), nlohmann::json::parse(R"([{"f":1.0}])"));
    EXPECT_EQ(Rows(port, "other/policy", "SELECT y, f FROM x"),
              nlohmann::json::parse(R"([{"y":"z","f":1}])"));
  }

  const std::string token_ = "sluice_" + std::string(86, 'B');
  const std::string headers_ = "Authorization: Bearer " + token_ + "\r\n";
  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
};

TEST_F(UpgradeTest, EveryPointOfTheVersionBeforeIsThereAndIsWrittenAnewByMerging) {
  {
    fixture::ServerProcess server(data_, {}, fixture::ServerProcess::Auth::kTokens);
    ComparePoints(server.http_port());
    const auto admin = client::Client::Connect(server.grpc_address(), {.token = token_});
    const auto tokens = admin->ListTokens();
    ASSERT_TRUE(tokens.ok()) << tokens.status();
    ASSERT_EQ(tokens->size(), 2u);
    EXPECT_EQ(tokens->at(1).name, "reader");
    EXPECT_EQ(admin->GetDatabase("demo")->settings.max_columns, 99u);
    // What the version before could not write.
    ASSERT_TRUE(admin
                    ->CreateToken({.name = "limited",
                                   .permissions = {{"demo", true, true}},
                                   .max_requests_per_second = 5})
                    .ok());
    // More points of the old ones' second day, until all of it is one block.
    const auto blocks = [&] {
      const std::string text = "\n" + Fetch(server.http_port(), "GET", "/metrics")->body;
      const std::string name = "\nsluice_blocks ";
      return std::stod(text.substr(text.find(name) + name.size()));
    };
    const double before = blocks();
    bool merged = false;
    for (int round = 0; round < 20 && !merged; ++round) {
      std::string lines;
      for (int64_t i = 0; i < 900; ++i) {
        lines += fmt::format("home,room=new n={}i {}\n", 100'000 + round * 900 + i,
                             kStart + (150 + i / 2) * kMinute + 2 * round + i % 2 + 1);
      }
      ASSERT_TRUE(admin->Write("demo", lines).ok());
      for (int i = 0; i < 30 && !merged; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        merged = blocks() <= before;
      }
    }
    EXPECT_TRUE(merged) << blocks() << " blocks, before " << before;
    ASSERT_TRUE(admin->DropDatabase("other/policy").ok());
    ASSERT_TRUE(admin->CreateDatabase("other/policy").ok());
    ASSERT_TRUE(admin->Write("other/policy", "x,y=z f=1i 5").ok());
    EXPECT_EQ(Rows(server.http_port(), "demo",
                   "SELECT count(*) AS c, sum(n) AS n FROM home WHERE n < 100000"),
              nlohmann::json::parse(R"([{"c":1000,"n":499500}])"));
    EXPECT_EQ(server.Terminate(), 0);
  }
  std::string format;
  std::getline(std::ifstream(data_ + "/FORMAT"), format);
  EXPECT_EQ(format, "sluice store format 4");
  EXPECT_THAT(RunShell("server/sluiced check --data-dir " + data_),
              testing::HasSubstr("faults\t0"));
  fixture::ServerProcess again(data_, {}, fixture::ServerProcess::Auth::kTokens);
  EXPECT_EQ(Rows(again.http_port(), "demo",
                 "SELECT count(*) AS c, sum(n) AS n FROM home WHERE n < 100000"),
            nlohmann::json::parse(R"([{"c":1000,"n":499500}])"));
}

// Reading changes nothing that the version before could not read.
TEST_F(UpgradeTest, ACheckLeavesTheStoreAsItWas) {
  EXPECT_THAT(RunShell("server/sluiced check --data-dir " + data_),
              testing::AllOf(testing::HasSubstr("databases\t2"), testing::HasSubstr("tokens\t2"),
                             testing::HasSubstr("faults\t0")));
  std::string format;
  std::getline(std::ifstream(data_ + "/FORMAT"), format);
  EXPECT_EQ(format, "sluice store format 3");
}

}  // namespace
}  // namespace sluice

// Backups of the real binary under full load, restored elsewhere and compared point by point.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "client/client.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/shell.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using fixture::RunShell;
using testing::HasSubstr;

constexpr int kWriters = 3;
constexpr int kBatch = 50;
constexpr char kSluice[] = "client/cli/sluice";

class BackupTest : public testing::Test {
 protected:
  std::vector<std::string> Flags() const { return {"--backup-dir=" + backups_}; }

  fixture::TempDir dir_;
  const std::string data_ = dir_.path() + "/data";
  const std::string backups_ = dir_.path() + "/backups";
};

nlohmann::json Rows(uint16_t port, const std::string& sql) {
  const auto answer =
      fixture::Fetch(port, "GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql));
  EXPECT_TRUE(answer && answer->status == 200);
  return nlohmann::json::parse(answer->body);
}

// Each writer's points are numbered, a batch is a commit, and one follows the other: what is
// restored of each is the first so many batches, whole, and at least what was acknowledged before
// the backup began.
TEST_F(BackupTest, OfAServerUnderLoadIsAPrefixOfTheCommits) {
  struct Taken {
    int64_t id = 0;
    std::array<int64_t, kWriters> acknowledged_before{};
    std::array<int64_t, kWriters> begun_after{};
  };
  std::vector<Taken> taken;
  {
    fixture::ServerProcess server(data_, Flags());
    const auto admin = client::Client::Connect(server.grpc_address());
    ASSERT_TRUE(admin->CreateDatabase("demo").ok());
    std::atomic<bool> stop = false;
    std::array<std::atomic<int64_t>, kWriters> begun{};
    std::array<std::atomic<int64_t>, kWriters> acknowledged{};
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([&, w] {
        const auto client = client::Client::Connect(server.grpc_address());
        for (int64_t batch = 0; !stop; ++batch) {
          std::string lines;
          for (int64_t i = 0; i < kBatch; ++i) {
            const int64_t n = batch * kBatch + i;
            lines += fmt::format("t,w=w{} n={}i,pad=\"{}\" {}\n", w, n, std::string(100, 'x'), n);
          }
          begun[w] = batch + 1;
          ASSERT_TRUE(client->Write("demo", lines).ok());
          acknowledged[w] = batch + 1;
        }
      });
    }
    for (int round = 0; round < 5; ++round) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      Taken one;
      for (int w = 0; w < kWriters; ++w) one.acknowledged_before[w] = acknowledged[w];
      const auto backup = admin->CreateBackup(0, true);
      ASSERT_TRUE(backup.ok()) << backup.status();
      for (int w = 0; w < kWriters; ++w) one.begun_after[w] = begun[w];
      one.id = backup->id;
      taken.push_back(one);
    }
    stop = true;
  }
  for (const Taken& one : taken) {
    const std::string to = dir_.path() + "/restored" + std::to_string(one.id);
    int code = 0;
    const std::string told =
        RunShell(fmt::format("{} backup restore --backup-dir {} --data-dir {} {}", kSluice,
                             backups_, to, one.id),
                 &code);
    ASSERT_EQ(code, 0) << told;
    fixture::ServerProcess server(to);
    std::array<int64_t, kWriters> next{};
    for (const auto& row :
         Rows(server.http_port(), "SELECT w, n, pad, time FROM t ORDER BY w, n")) {
      const int w = row["w"].get<std::string>()[1] - '0';
      ASSERT_EQ(row["n"].get<int64_t>(), next[w]++);
      ASSERT_EQ(row["pad"].get<std::string>(), std::string(100, 'x'));
    }
    for (int w = 0; w < kWriters; ++w) {
      EXPECT_EQ(next[w] % kBatch, 0) << "a batch in part";
      EXPECT_GE(next[w], one.acknowledged_before[w] * kBatch) << "acknowledged, and not in";
      EXPECT_LE(next[w], one.begun_after[w] * kBatch) << "nobody wrote that";
    }
    fmt::print("backup {}: {} points\n", one.id, next[0] + next[1] + next[2]);
  }
}

TEST_F(BackupTest, TheCommandsSayWhatThereIsAndWhatIsWrong) {
  std::string first;
  {
    fixture::ServerProcess server(data_, Flags());
    const std::string sluice = kSluice + (" --server " + server.grpc_address()) + " ";
    RunShell(sluice + "database create demo; echo 'm f=1' | " + sluice + "write demo");
    EXPECT_THAT(RunShell(sluice + "backup list"), testing::IsEmpty());
    for (int i = 0; i < 3; ++i) {
      EXPECT_THAT(RunShell(sluice + "backup create --keep 2"), HasSubstr("format 4"));
    }
    EXPECT_THAT(RunShell(sluice + "backup list"),
                testing::AllOf(HasSubstr("2\t20"), HasSubstr("3\t20"),
                               testing::Not(testing::StartsWith("1\t"))));
    EXPECT_EQ(RunShell(sluice + "backup verify"), "2\tgood\n3\tgood\n");
    int code = 0;
    EXPECT_THAT(RunShell(sluice + "backup verify 1", &code), HasSubstr("there is no backup 1"));
    EXPECT_EQ(code, 1);
    // While the server has it.
    EXPECT_THAT(RunShell("server/sluiced check --data-dir " + data_, &code),
                HasSubstr("a server has the store"));
    EXPECT_EQ(code, 1);
    const auto metrics = fixture::Fetch(server.http_port(), "GET", "/metrics")->body;
    EXPECT_THAT(metrics, HasSubstr("sluice_last_backup_timestamp_seconds 1"));
    EXPECT_EQ(server.Terminate(), 0);
  }
  EXPECT_EQ(RunShell(std::string(kSluice) + " backup verify --backup-dir " + backups_),
            "2\tgood\n3\tgood\n");
  int code = 0;
  EXPECT_THAT(
      RunShell("server/sluiced check --data-dir " + data_, &code),
      testing::AllOf(HasSubstr("databases\t1"), HasSubstr("rows\t1"), HasSubstr("faults\t0")));
  EXPECT_EQ(code, 0);
  // The newest is what a server goes on from, also after a new start.
  fixture::ServerProcess again(data_, Flags());
  EXPECT_THAT(fixture::Fetch(again.http_port(), "GET", "/metrics")->body,
              HasSubstr("sluice_last_backup_timestamp_seconds 1"));
}

TEST_F(BackupTest, AreForAdminsAndOnlyWhereThereIsADirectory) {
  fixture::ServerProcess server(data_);
  const auto client = client::Client::Connect(server.grpc_address());
  const auto refused = client->CreateBackup(0, false);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(client::ReasonOf(refused.status()), "BACKUPS_OFF");
  EXPECT_EQ(client->CreateBackup(-1, false).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(BackupTest, AreRefusedWhereThereIsNoRoom) {
  fixture::ServerProcess server(
      data_, {"--backup-dir=" + backups_, "--min-free-disk-bytes=1000000000000000"});
  const auto client = client::Client::Connect(server.grpc_address());
  const auto refused = client->CreateBackup(0, false);
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("nearly full"));
  EXPECT_THAT(fixture::Fetch(server.http_port(), "GET", "/metrics")->body,
              HasSubstr("sluice_backup_failures_total 1"));
}

}  // namespace
}  // namespace sluice

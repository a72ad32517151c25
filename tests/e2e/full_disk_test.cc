// The real server on a real file system that gets full: it refuses or ends in order, starts again
// while there is no room, shows all that it has acknowledged, and takes more once something was
// dropped.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>
#include <tuple>

#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

// A small file system of its own.
class SmallDisk {
 public:
  explicit SmallDisk(size_t mib) {
    mounted_ = mount("sluice-test", dir_.path().c_str(), "tmpfs", 0,
                     fmt::format("size={}m", mib).c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(dir_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  std::string data() const { return dir_.path() + "/data"; }
  // Somebody else takes what is left of it.
  void TakeTheRest() const {
    std::ofstream file(dir_.path() + "/other", std::ios::binary);
    const std::string block(1 << 16, 'x');
    while (file.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }

 private:
  fixture::TempDir dir_;
  bool mounted_ = false;
};

constexpr char kSkipped[] =
    "SKIPPED, LOUDLY: no file system can be mounted here, so nothing was shown";

// Texts that do not compress; the point's time is its number.
std::string Body(int64_t number, size_t bytes) {
  std::mt19937_64 random(static_cast<uint64_t>(number));
  std::string text;
  while (text.size() < bytes) text += fmt::format("{:016x}", random());
  return fmt::format("m n={}i,text=\"{}\" {}", number, text, number);
}

int64_t Count(uint16_t port, const std::string& database) {
  auto answer = fixture::Fetch(port, "GET",
                               fmt::format("/api/v3/query_sql?db={}&format=csv&q=SELECT+count(*)+"
                                           "AS+n+FROM+m",
                                           database));
  return answer && answer->status == 200 ? std::atoll(answer->body.c_str() + 3) : -1;
}

int Write(uint16_t port, const std::string& database, const std::string& body) {
  auto answer = fixture::Fetch(port, "POST", "/write?db=" + database, body);
  return answer ? answer->status : 0;
}

class FullDiskTest : public testing::TestWithParam<int> {};

TEST_P(FullDiskTest, LosesNothingStartsAgainAndRecovers) {
  // The smallest reserve is none.
  const int reserve_mib = GetParam();
  // The log takes room ahead of its need.
  SmallDisk disk(300 + static_cast<size_t>(reserve_mib));
  if (!disk.mounted()) GTEST_SKIP() << kSkipped;
  const std::vector<std::string> flags = {
      "--create-databases", "--drain-seconds=0",
      fmt::format("--min-free-disk-bytes={}", int64_t{reserve_mib} << 20)};
  std::atomic<int64_t> acknowledged = 0;
  {
    fixture::ServerProcess server(disk.data(), flags);
    ASSERT_EQ(Write(server.http_port(), "keep", Body(0, 100)), 204);
    std::atomic<int64_t> next = 1;
    std::atomic<int> refused = 0;
    std::vector<std::jthread> writers;
    for (int i = 0; i < 3; ++i) {
      writers.emplace_back([&] {
        while (refused < 30) {
          const int status = Write(server.http_port(), "fill", Body(next++, 500'000));
          EXPECT_TRUE(status == 204 || status == 503 || status == 500 || status == 0) << status;
          if (status == 204) {
            ++acknowledged;
          } else {
            ++refused;
          }
          if (acknowledged == 20) disk.TakeTheRest();
        }
      });
    }
    writers.clear();
    if (server.IsAlive()) {
      EXPECT_GE(Count(server.http_port(), "fill"), acknowledged.load());
      // Refused, but well: or about to end.
      const int code = server.Terminate();
      EXPECT_TRUE(code == 0 || code == 1) << code;
    }
  }
  // There is still no room.
  fixture::ServerProcess server(disk.data(), flags);
  EXPECT_EQ(Count(server.http_port(), "keep"), 1);
  EXPECT_GE(Count(server.http_port(), "fill"), acknowledged.load());
  EXPECT_GE(acknowledged.load(), 20);
  auto dropped = fixture::Fetch(server.http_port(), "DELETE", "/api/v3/configure/database?db=fill");
  EXPECT_EQ(dropped->status, 200) << dropped->body;
  int status = 503;
  for (int i = 0; i < 100 && status != 204; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (!server.IsAlive()) break;
    status = Write(server.http_port(), "keep", Body(1, 100));
  }
  EXPECT_EQ(status, 204);
  EXPECT_EQ(Count(server.http_port(), "keep"), 2);
  EXPECT_EQ(server.Terminate(), 0);
}

// What frees room needs some itself.
TEST(FullDiskDropTest, ADropWorksWhileNothingIsFree) {
  SmallDisk disk(200);
  if (!disk.mounted()) GTEST_SKIP() << kSkipped;
  fixture::ServerProcess server(
      disk.data(), {"--create-databases", "--drain-seconds=0", "--min-free-disk-bytes=20000000"});
  ASSERT_EQ(Write(server.http_port(), "keep", Body(0, 100)), 204);
  for (const char* name : {"a", "b", "c"}) {
    for (int i = 0; i < 20; ++i) {
      ASSERT_EQ(Write(server.http_port(), name, Body(i, 500'000)), 204);
    }
  }
  for (int i = 0; i < 100 && !std::filesystem::exists(disk.data() + "/rocksdb/ballast"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  disk.TakeTheRest();
  for (int i = 0; i < 100 && Write(server.http_port(), "keep", Body(0, 100)) != 503; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  // What is in memory is to be flushed, for which there is no room either.
  std::this_thread::sleep_for(std::chrono::seconds(3));
  for (const std::string name : {"a", "b", "c"}) {
    const auto dropped =
        fixture::Fetch(server.http_port(), "DELETE", "/api/v3/configure/database?db=" + name);
    ASSERT_TRUE(dropped.has_value()) << name;
    EXPECT_EQ(dropped->status, 200) << dropped->body;
    // What was in memory is flushed then, and the log begins anew.
    std::this_thread::sleep_for(std::chrono::seconds(1));
    ASSERT_TRUE(server.IsAlive()) << name;
  }
  EXPECT_EQ(Count(server.http_port(), "keep"), 1);
}

INSTANTIATE_TEST_SUITE_P(WithReserves, FullDiskTest, testing::Values(0, 1, 5, 20, 64),
                         testing::PrintToStringParamName());

TEST(ReadOnlyDiskTest, SaysWhatIsWrongAndNothingOfAnotherServer) {
  SmallDisk disk(64);
  if (!disk.mounted()) GTEST_SKIP() << kSkipped;
  {
    fixture::ServerProcess server(disk.data(), {"--create-databases", "--drain-seconds=0"});
    EXPECT_EQ(server.Terminate(), 0);
  }
  const std::string root = std::filesystem::path(disk.data()).parent_path();
  ASSERT_EQ(mount(nullptr, root.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  auto [code, log] =
      fixture::RunServerToItsEnd({"--data-dir", disk.data(), "--without-auth",
                                  "--http-listen=127.0.0.1:0", "--grpc-listen=127.0.0.1:0"});
  EXPECT_EQ(code, 1);
  EXPECT_NE(log.find("Read-only file system"), std::string::npos) << log;
  EXPECT_EQ(log.find("another server"), std::string::npos) << log;
  // Where nothing can be locked, nobody has it open.
  std::tie(code, log) = fixture::RunServerToItsEnd({"check", "--data-dir", disk.data()});
  EXPECT_EQ(code, 0) << log;
}

}  // namespace
}  // namespace sluice

// What careless and hostile clients do to the real binary: they get the answer that the contract
// names or a closed connection, its memory stays bounded, and others are served.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <memory>
#include <thread>
#include <vector>

#include "tests/fixture/compress.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

using fixture::HttpConnection;

constexpr size_t kMiB = size_t{1} << 20;

class HostileClientsTest : public testing::Test {
 protected:
  HostileClientsTest() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    fixture::Fetch(port(), "POST", "/api/v3/configure/database", R"({"db":"demo"})");
  }

  uint16_t port() const { return server_.http_port(); }
  int Write(const std::string& body, const std::string& headers = "") const {
    auto answer = fixture::Fetch(port(), "POST", "/write?db=demo", body, headers);
    return answer ? answer->status : 0;
  }
  // The most that the process has taken of memory.
  size_t PeakBytes() const {
    std::ifstream status(fmt::format("/proc/{}/status", server_.pid()));
    size_t kib = 0;
    for (std::string word; status >> word;) {
      if (word == "VmHWM:") status >> kib;
    }
    return kib * 1024;
  }

  fixture::TempDir dir_;
  fixture::ServerProcess server_{dir_.path() + "/data"};
};

std::string Head(const std::string& target, size_t size, const std::string& headers = "") {
  return fmt::format("POST {} HTTP/1.1\r\nHost: x\r\n{}Content-Length: {}\r\n\r\n", target, headers,
                     size);
}

TEST_F(HostileClientsTest, ARefusalIsReadableWhileTenMebibytesAreStillBeingSent) {
  const std::string body(10 * kMiB + 1, 'x');
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      HttpConnection connection(port());
      const char* target = i % 2 == 0 ? "/write?db=none" : "/write?db=demo";
      connection.Send(Head(target, body.size()));
      EXPECT_TRUE(connection.Send(body));
      auto answer = connection.Receive();
      ASSERT_TRUE(answer);
      EXPECT_EQ(answer->status, i % 2 == 0 ? 404 : 413);
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(HostileClientsTest, BombsAreDefused) {
  const std::string bomb = fixture::Gzip(std::string(512 * kMiB, '\n'));
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i) {
    clients.emplace_back([&] { EXPECT_EQ(Write(bomb, "Content-Encoding: gzip\r\n"), 413); });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_LT(PeakBytes(), 512 * kMiB);
  EXPECT_EQ(Write("m f=1"), 204);
}

TEST_F(HostileClientsTest, ThousandsOfConnectionsThatSayLittleTakeLittle) {
  const size_t before = PeakBytes();
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (int i = 0; i < 5000; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(port()));
    // Nothing; a part of a head; a head and one byte of a large body.
    if (i % 3 == 1) idle.back()->Send("POST /write?db=demo HT");
    if (i % 3 == 2) idle.back()->Send(Head("/write?db=demo", 10 * kMiB) + "m");
  }
  for (int i = 0; i < 100; ++i) EXPECT_EQ(Write(fmt::format("m f=1 {}", i)), 204);
  EXPECT_LT(PeakBytes(), before + 256 * kMiB);
}

// Nobody counts what an idle connection takes, some 9 KiB: all of them are to take a tenth of the
// memory.
TEST_F(HostileClientsTest, ConnectionsAreAsManyAsATenthOfTheMemoryHolds) {
  fixture::ServerProcess server(dir_.path() + "/small",
                                {"--max-memory-bytes=134217728", "--max-body-bytes=1048576"});
  const size_t allowed = 128 * kMiB / 10 / (9 << 10);
  std::vector<std::unique_ptr<HttpConnection>> idle;
  for (size_t i = 0; i < 2 * allowed; ++i) {
    idle.push_back(std::make_unique<HttpConnection>(server.http_port()));
  }
  const auto open_files = [&] {
    const auto answer = fixture::Fetch(server.http_port(), "GET", "/metrics");
    const std::string text = answer ? answer->body : "";
    const size_t at = text.find("\nprocess_open_fds ");
    return at == std::string::npos ? 0 : std::stoul(text.substr(at + 18));
  };
  size_t files = open_files();
  for (int i = 0; i < 100 && files > allowed + allowed / 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    files = open_files();
  }
  EXPECT_LE(files, allowed + allowed / 5);
  EXPECT_GE(files, allowed / 2);
}

TEST_F(HostileClientsTest, ManyLargeBodiesAtOnceAreServedOrSentAway) {
  std::string body;
  while (body.size() < 9 * kMiB) body += fmt::format("m,h=a f=1,g=2i {}\n", body.size());
  std::atomic<int> taken = 0;
  std::atomic<int> sent_away = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 100; ++i) {
    clients.emplace_back([&] {
      HttpConnection connection(port());
      connection.Send(Head("/write?db=demo", body.size()));
      connection.Send(body);
      auto answer = connection.Receive();
      if (answer && answer->status == 204) ++taken;
      if (answer && answer->status == 503) ++sent_away;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(taken + sent_away, 100);
  EXPECT_GT(taken, 0);
  EXPECT_LT(PeakBytes(), 2048 * kMiB);
  EXPECT_EQ(Write("m f=1"), 204);
}

TEST_F(HostileClientsTest, AHeadOfAMebibyteIsRefused) {
  HttpConnection connection(port());
  connection.Send("GET /ping HTTP/1.1\r\nX: " + std::string(kMiB, 'h') + "\r\n\r\n");
  auto answer = connection.Receive();
  EXPECT_TRUE(!answer || answer->status == 400);
  EXPECT_EQ(Write("m f=1"), 204);
}

TEST_F(HostileClientsTest, ABodyCutShortLeavesNothing) {
  {
    HttpConnection connection(port());
    connection.Send(Head("/write?db=demo", 1000) + "cut f=1 1\n");
  }
  EXPECT_EQ(Write("m f=1"), 204);
  EXPECT_EQ(
      fixture::Fetch(port(), "GET", "/api/v3/query_sql?db=demo&q=SELECT+name+FROM+sqlite_schema")
          ->body,
      R"([{"name":"m"}])");
}

}  // namespace
}  // namespace sluice

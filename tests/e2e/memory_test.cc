// The real server in a container of 512 MiB, whose every client asks for more memory than there is:
// everybody gets an answer, and nobody else waits.

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "client/client.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

constexpr uint64_t kContainerBytes = uint64_t{512} << 20;
constexpr int kClients = 48;
constexpr size_t kBodyBytes = 9'800'000;
constexpr auto kLength = std::chrono::seconds(15);

// Rows of 400 tables of 240 columns, each row of another: much of each is what a column takes.
std::string WideBody(int seed) {
  std::string body;
  for (int row = 0; body.size() < kBodyBytes; ++row) {
    body += fmt::format("t{},h=x", row % 400);
    for (int column = 0; column < 240; ++column) {
      body +=
          fmt::format("{}c{}={}.5", column == 0 ? ' ' : ',', column, (row + column + seed) % 97);
    }
    body += fmt::format(" {}\n", 1'700'000'000'000'000'000 + int64_t{row} * 1000 + seed);
  }
  body.resize(body.rfind('\n', kBodyBytes) + 1);
  return body;
}

struct Counts {
  std::mutex mutex;
  std::map<std::string, int> answers;
  void Add(const std::string& answer) {
    std::lock_guard lock(mutex);
    ++answers[answer];
  }
  int operator[](const std::string& answer) {
    return answers.contains(answer) ? answers[answer] : 0;
  }
  std::string Show() const {
    std::string text;
    for (const auto& [answer, count] : answers) text += fmt::format(" {}: {}", answer, count);
    return text;
  }
};

class MemoryTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!group_.exists()) {
      GTEST_SKIP() << "SKIPPED, LOUDLY: no control group can be made here, so nothing was shown";
    }
    server_ = std::make_unique<fixture::ServerProcess>(
        dir_.path() + "/data",
        std::vector<std::string>{"--create-databases", "--query-timeout-seconds=10"},
        fixture::ServerProcess::Auth::kNone, &group_);
  }
  void TearDown() override { server_.reset(); }

  std::string Status(const std::string& method, const std::string& target,
                     const std::string& body = "") {
    auto answer = fixture::Fetch(server_->http_port(), method, target, body);
    return answer ? std::to_string(answer->status) : "none";
  }

  // Declared before the server, so that it is empty when it goes.
  fixture::MemoryGroup group_{kContainerBytes};
  fixture::TempDir dir_;
  std::unique_ptr<fixture::ServerProcess> server_;
};

TEST_F(MemoryTest, AContainerHoldsItsServerWhateverItIsAsked) {
  ASSERT_EQ(Status("POST", "/write?db=demo", "small f=1 1"), "204");
  std::atomic<bool> stop = false;
  Counts wide, sorts, small;
  std::atomic<int64_t> small_points = 1;
  std::atomic<int64_t> slowest_ms = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kClients; ++i) {
      threads.emplace_back([&, i] {
        const std::string body = WideBody(i);
        // A half comes over gRPC.
        auto client = client::Client::Connect(server_->grpc_address());
        while (!stop) {
          if (i % 4 == 0) {
            auto written = client->Write("demo", body);
            wide.Add(written.ok()
                         ? "204"
                         : fmt::format("gRPC {}", static_cast<int>(written.status().code())));
          } else {
            wide.Add(Status("POST", "/write?db=demo", body));
          }
          std::this_thread::sleep_for(std::chrono::milliseconds(100));
        }
      });
    }
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        while (!stop) {
          const std::string sql = fmt::format("SELECT * FROM t{} ORDER BY c{}, h, time DESC", i, i);
          sorts.Add(Status("GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql)));
          std::this_thread::sleep_for(std::chrono::milliseconds(50));
        }
      });
    }
    const auto end = std::chrono::steady_clock::now() + kLength;
    while (std::chrono::steady_clock::now() < end && server_->IsAlive()) {
      const auto start = std::chrono::steady_clock::now();
      const std::string status =
          Status("POST", "/write?db=demo", fmt::format("small f=1 {}", small_points + 1));
      small.Add(status);
      if (status == "204") ++small_points;
      const auto took = std::chrono::steady_clock::now() - start;
      slowest_ms = std::max<int64_t>(
          slowest_ms, std::chrono::duration_cast<std::chrono::milliseconds>(took).count());
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    stop = true;
  }
  fmt::print("wide:{}\nsorts:{}\nsmall:{}, the slowest {} ms\nat most {} MiB of memory\n",
             wide.Show(), sorts.Show(), small.Show(), slowest_ms.load(),
             group_.max_used_bytes() >> 20);
  ASSERT_TRUE(server_->IsAlive());
  for (const auto& [answer, count] : wide.answers) {
    // OK, no memory now, needs more than there is; the same as gRPC has them.
    const bool known = answer == "204" || answer == "503" || answer == "413" ||
                       answer == "gRPC 14" || answer == "gRPC 8";
    EXPECT_TRUE(known) << answer;
  }
  for (const auto& [answer, count] : sorts.answers) {
    const bool known = answer == "200" || answer == "503" || answer == "400" || answer == "none";
    EXPECT_TRUE(known) << answer;
  }
  EXPECT_GT(small["204"], 0);
  EXPECT_EQ(small["none"], 0);
  auto rows = fixture::Fetch(server_->http_port(), "GET",
                             "/api/v3/query_sql?db=demo&q=SELECT+count(*)+AS+n+FROM+small");
  ASSERT_TRUE(rows);
  EXPECT_EQ(rows->body, fmt::format(R"([{{"n":{}}}])", small_points.load()));
  EXPECT_EQ(server_->Terminate(), 0);
}

// gRPC has a quota of its own for what it receives, and does not bear every use of it.
TEST_F(MemoryTest, ManyConnectionsThatSendAsMuchAsTheyMay) {
  server_.reset();
  server_ = std::make_unique<fixture::ServerProcess>(
      dir_.path() + "/data",
      std::vector<std::string>{"--create-databases", "--max-memory-bytes=268435456"},
      fixture::ServerProcess::Auth::kNone);
  std::atomic<bool> stop = false;
  Counts answers;
  {
    std::vector<std::jthread> threads;
    // Small ones among them come in one piece of gRPC's.
    for (int i = 0; i < 58; ++i) {
      threads.emplace_back([&, i] {
        v1::WriteRequest request;
        request.set_database("demo");
        std::string& body = *request.mutable_line_protocol();
        for (size_t line = 0; body.size() < (i < 50 ? 9'000'000 : 5'000); ++line) {
          body += fmt::format("m,h=h{} f={}.5 {}\n", i, line % 97, line * 1000);
        }
        grpc::ChannelArguments arguments;
        arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
        auto stub = v1::WriteService::NewStub(grpc::CreateCustomChannel(
            server_->grpc_address(), grpc::InsecureChannelCredentials(), arguments));
        while (!stop) {
          grpc::ClientContext context;
          v1::WriteResponse response;
          const grpc::Status status = stub->Write(&context, request, &response);
          answers.Add(status.ok() ? "OK" : fmt::format("{}", status.error_code()));
          if (!status.ok()) std::this_thread::sleep_for(std::chrono::milliseconds(200));
        }
      });
    }
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    while (std::chrono::steady_clock::now() < end && server_->IsAlive()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    stop = true;
  }
  fmt::print("answers:{}\n", answers.Show());
  ASSERT_TRUE(server_->IsAlive());
  EXPECT_EQ(Status("POST", "/write?db=demo", "small f=1 1"), "204");
  EXPECT_EQ(server_->Terminate(), 0);
}

TEST_F(MemoryTest, MoreThanTheContainerHasIsRefusedAtTheStart) {
  auto [code, log] =
      fixture::RunServerToItsEnd({"--data-dir", dir_.path() + "/other",
                                  fmt::format("--max-memory-bytes={}", uint64_t{1} << 49)});
  EXPECT_EQ(code, 1);
  EXPECT_NE(log.find("--max-memory-bytes is 562949953421312, and there are"), std::string::npos)
      << log;
}

}  // namespace
}  // namespace sluice

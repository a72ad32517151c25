// Kills the real server in the middle of a stream, again and again. A writer with a name sends
// again what was not acknowledged, and nothing else; in the end every batch is in, in its order,
// and what was acknowledged was never to be sent again (contract W-86, W-87).

#include <fmt/format.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <thread>

#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/http_client.h"
#include "tests/fixture/server_process.h"
#include "tests/fixture/temp_dir.h"

namespace sluice {
namespace {

constexpr int kRounds = 20;
constexpr int64_t kKeys = 37;

// Batch n writes the point of one of a few keys again, and one that is its own.
std::string LinesOf(int64_t n) {
  return fmt::format("shared,key=k{} batch={}i 1\nown batch={}i {}\n", n % kKeys, n, n, n + 1);
}

// One stream, as long as it lasts. `acknowledged` is the number of the last batch that is.
void WriteUntilItEnds(const std::string& address, int64_t& acknowledged, int64_t& known_again) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto stub = v1::WriteService::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  auto stream = stub->WriteStream(&context);
  v1::WriteStreamRequest request;
  request.mutable_open()->set_database("demo");
  request.mutable_open()->set_writer_id("writer");
  request.mutable_open()->set_first_sequence(acknowledged + 1);
  stream->Write(request);
  v1::WriteStreamResponse response;
  if (!stream->Read(&response)) {
    stream->Finish();
    return;
  }
  ASSERT_TRUE(response.has_opened());
  // What was acknowledged is known; what is known may not have been acknowledged.
  const v1::WriteStreamOpened opened = response.opened();
  ASSERT_GE(opened.has_last_written_sequence() ? opened.last_written_sequence() : -1, acknowledged);
  std::thread sender([&, first = acknowledged + 1] {
    v1::WriteStreamRequest batch;
    for (int64_t n = first;; ++n) {
      batch.mutable_batch()->set_sequence(n);
      batch.mutable_batch()->set_line_protocol(LinesOf(n));
      if (!stream->Write(batch)) return;
    }
  });
  while (stream->Read(&response)) {
    for (const v1::WriteStreamAck& ack : response.acks().acks()) {
      ASSERT_EQ(ack.sequence(), ++acknowledged);
      const bool known =
          ack.sequence() <= opened.last_written_sequence() && opened.has_last_written_sequence();
      EXPECT_EQ(ack.has_already_written(), known);
      EXPECT_EQ(ack.written().ingested_points(), known ? 0 : 2);
      known_again += known ? 1 : 0;
    }
  }
  sender.join();
  stream->Finish();
}

nlohmann::json Rows(uint16_t port, const std::string& sql) {
  auto answer =
      fixture::Fetch(port, "GET", "/api/v3/query_sql?db=demo&q=" + fixture::EncodeParameter(sql));
  return answer && answer->status == 200 ? nlohmann::json::parse(answer->body) : nlohmann::json();
}

TEST(StreamCrashTest, EveryBatchOfAWriterIsInOnceAndInItsOrder) {
  fixture::TempDir dir;
  const std::string data = dir.path() + "/data";
  std::random_device seed;
  std::mt19937 random(seed());
  int64_t acknowledged = -1;
  int64_t known_again = 0;
  for (int round = 0; round < kRounds; ++round) {
    fixture::ServerProcess server(data);
    fixture::Fetch(server.http_port(), "POST", "/api/v3/configure/database", R"({"db":"demo"})");
    std::thread killer([&server, wait = 50 + random() % 300] {
      std::this_thread::sleep_for(std::chrono::milliseconds(wait));
      server.Kill();
    });
    WriteUntilItEnds(server.grpc_address(), acknowledged, known_again);
    killer.join();
  }
  ASSERT_GT(acknowledged, 100);
  fixture::ServerProcess server(data);
  const nlohmann::json own = Rows(
      server.http_port(), "SELECT count(*) AS n, max(batch) AS last, sum(batch) AS total FROM own");
  const int64_t last = own[0]["last"].get<int64_t>();
  EXPECT_GE(last, acknowledged);
  EXPECT_EQ(own[0]["n"].get<int64_t>(), last + 1);
  EXPECT_EQ(own[0]["total"].get<int64_t>(), last * (last + 1) / 2);
  // Of every key the last batch counts that wrote it.
  for (const auto& row : Rows(server.http_port(), "SELECT key, batch FROM shared")) {
    const int64_t key = std::stoll(row["key"].get<std::string>().substr(1));
    EXPECT_EQ(row["batch"].get<int64_t>(), last - (last - key) % kKeys) << "key " << key;
  }
  fmt::print("{} batches acknowledged; {} were in without that\n", acknowledged + 1, known_again);
}

}  // namespace
}  // namespace sluice

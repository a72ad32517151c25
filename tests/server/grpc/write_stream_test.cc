#include "server/grpc/write_stream.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "sluice/v1/query.grpc.pb.h"
#include "sluice/v1/write.grpc.pb.h"
#include "tests/fixture/running_server.h"

// Over real connections. That batches come to the same as at every other door is shown by
// tests/contract.

namespace sluice::grpc_door {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// A stream from its client's side.
class Stream {
 public:
  explicit Stream(const std::string& address, const std::string& token = "",
                  grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) {
    context_.set_compression_algorithm(compression);
    grpc::ChannelArguments arguments;
    // A connection of its own.
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    stub_ = v1::WriteService::NewStub(
        grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments));
    if (!token.empty()) context_.AddMetadata("authorization", "Bearer " + token);
    stream_ = stub_->WriteStream(&context_);
  }
  ~Stream() {
    if (finished_) return;
    context_.TryCancel();
    Finish();
  }

  v1::WriteStreamOpen& open() { return *request_.mutable_open(); }
  bool Open() {
    const bool sent = stream_->Write(request_);
    request_.Clear();
    v1::WriteStreamResponse response;
    if (!sent || !stream_->Read(&response)) return false;
    EXPECT_TRUE(response.has_opened());
    opened_ = response.opened();
    return true;
  }
  bool Open(const std::string& database, const std::string& writer = "", int64_t first = 0) {
    open().set_database(database);
    open().set_writer_id(writer);
    open().set_first_sequence(first);
    return Open();
  }
  const v1::WriteStreamOpened& opened() const { return opened_; }

  bool Send(int64_t sequence, const std::string& lines) {
    v1::WriteStreamRequest request;
    request.mutable_batch()->set_sequence(sequence);
    request.mutable_batch()->set_line_protocol(lines);
    return stream_->Write(request);
  }
  bool Send(const v1::WriteStreamRequest& request) { return stream_->Write(request); }
  void Close() { stream_->WritesDone(); }

  // The next acknowledgement, as "7: 1 in, 2 rejected", "7: already written" or "7: " and the
  // error's message; "drain" and the reason; "end" where there is none.
  std::string Next() {
    while (acks_.empty()) {
      v1::WriteStreamResponse response;
      if (!stream_->Read(&response)) return "end";
      if (response.has_drain()) {
        return "drain " + v1::WriteStreamDrain::Reason_Name(response.drain().reason());
      }
      EXPECT_TRUE(response.has_acks());
      acks_.assign(response.acks().acks().begin(), response.acks().acks().end());
    }
    const v1::WriteStreamAck ack = acks_.front();
    acks_.erase(acks_.begin());
    if (ack.has_already_written()) return fmt::format("{}: already written", ack.sequence());
    if (ack.has_error()) return fmt::format("{}: {}", ack.sequence(), ack.error().message());
    return fmt::format("{}: {} in, {} rejected", ack.sequence(), ack.written().ingested_points(),
                       ack.written().rejected_points());
  }

  grpc::Status Finish() {
    v1::WriteStreamResponse rest;
    while (stream_->Read(&rest)) {
    }
    finished_ = true;
    return stream_->Finish();
  }
  void Cancel() { context_.TryCancel(); }
  const grpc::ClientContext& context() const { return context_; }

 private:
  std::unique_ptr<v1::WriteService::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::WriteStreamRequest, v1::WriteStreamResponse>>
      stream_;
  v1::WriteStreamRequest request_;
  v1::WriteStreamOpened opened_;
  std::vector<v1::WriteStreamAck> acks_;
  bool finished_ = false;
};

class WriteStreamTest : public testing::Test {
 protected:
  explicit WriteStreamTest(const fixture::RunningServer::Options& options = {})
      : server_(std::make_unique<fixture::RunningServer>(options)) {
    server_->CreateDatabase("demo");
  }

  std::string address() const { return server_->grpc_address(); }
  double Count(const std::string& sql) {
    auto stub = v1::QueryService::NewStub(
        grpc::CreateChannel(address(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    v1::QueryRequest request;
    request.set_database("demo");
    request.set_sql(sql);
    auto rows = stub->Query(&context, request);
    v1::QueryResponse response;
    double value = -1;
    while (rows->Read(&response)) {
      if (response.rows().rows().empty()) continue;
      const v1::Value& first = response.rows().rows(0).values(0);
      value = first.has_float_value() ? first.float_value()
                                      : static_cast<double>(first.integer_value());
    }
    EXPECT_TRUE(rows->Finish().ok());
    return value;
  }

  std::unique_ptr<fixture::RunningServer> server_;
};

TEST_F(WriteStreamTest, EveryBatchIsAcknowledgedInItsOrder) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo", "", 5));
  EXPECT_GT(stream.opened().window().max_bytes(), 0);
  EXPECT_GT(stream.opened().window().max_batches(), 0);
  EXPECT_EQ(stream.opened().max_batch_bytes(), 1 << 20);
  EXPECT_FALSE(stream.opened().has_last_written_sequence());
  for (int i = 5; i < 1000; ++i) ASSERT_TRUE(stream.Send(i, fmt::format("m f={} 1", i)));
  stream.Close();
  for (int i = 5; i < 1000; ++i) ASSERT_EQ(stream.Next(), fmt::format("{}: 1 in, 0 rejected", i));
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(Count("SELECT f FROM m"), 999);
}

// Types that change with each batch have them judged again and again; still none overtakes another.
TEST_F(WriteStreamTest, BatchesTakeEffectInTheirOrderWhileOthersChangeTheSchema) {
  std::vector<std::thread> others;
  std::atomic<bool> done = false;
  for (int t = 0; t < 2; ++t) {
    others.emplace_back([&, t] {
      Stream stream(address());
      ASSERT_TRUE(stream.Open("demo"));
      for (int i = 0; !done && i < 100; ++i) {
        stream.Send(i, fmt::format("m c{}x{}=1 {}", t, i, 1000 + i));
        stream.Next();
      }
    });
  }
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(stream.Send(i, fmt::format("m f={} 1", i)));
  stream.Close();
  for (int i = 0; i < 500; ++i) ASSERT_EQ(stream.Next(), fmt::format("{}: 1 in, 0 rejected", i));
  done = true;
  for (std::thread& thread : others) thread.join();
  EXPECT_EQ(Count("SELECT f FROM m WHERE f IS NOT NULL"), 499);
}

TEST_F(WriteStreamTest, AnErrorOfABatchDoesNotEndTheStream) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  stream.Send(1, "# nothing");
  v1::WriteStreamRequest lie;
  lie.mutable_batch()->set_sequence(2);
  v1::TableBatch& table = *lie.mutable_batch()->mutable_columns()->add_tables();
  table.set_table("m");
  table.set_row_count(2);
  table.add_timestamps(1);
  stream.Send(lie);
  stream.Send(3, std::string(1 << 20, ' '));
  stream.Send(4, "m f=1i 1\nm f=2 2");
  v1::WriteStreamRequest nothing;
  nothing.mutable_batch()->set_sequence(5);
  stream.Send(nothing);
  stream.Close();
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  EXPECT_THAT(stream.Next(), HasSubstr("1: no points"));
  EXPECT_THAT(stream.Next(), HasSubstr("2: columns.tables[0].timestamps: has 1 entries"));
  EXPECT_THAT(stream.Next(), HasSubstr("3: no points"));
  EXPECT_EQ(stream.Next(), "4: 1 in, 1 rejected");
  EXPECT_THAT(stream.Next(), HasSubstr("5: points: none are there"));
  EXPECT_TRUE(stream.Finish().ok());
}

// Line protocol is looked at as a whole, other forms value by value, also where both go together.
TEST_F(WriteStreamTest, FormsMayAlternate) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  for (int i = 0; i < 200; i += 2) {
    stream.Send(i, "m f=1 1");
    v1::WriteStreamRequest bad;
    bad.mutable_batch()->set_sequence(i + 1);
    v1::Point& point = *bad.mutable_batch()->mutable_rows()->add_points();
    point.set_table("m");
    v1::Field& field = *point.add_fields();
    field.set_key("s");
    field.mutable_value()->set_string_value("\xff");
    stream.Send(bad);
  }
  for (int i = 0; i < 200; i += 2) {
    ASSERT_EQ(stream.Next(), fmt::format("{}: 1 in, 0 rejected", i));
    ASSERT_EQ(stream.Next(), fmt::format("{}: 0 in, 1 rejected", i + 1));
  }
}

TEST_F(WriteStreamTest, MessagesMayBeGzip) {
  Stream stream(server_->grpc_address(), "", GRPC_COMPRESS_GZIP);
  ASSERT_TRUE(stream.Open("demo"));
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += fmt::format("m f=1 {}\n", i);
  ASSERT_TRUE(stream.Send(0, lines));
  ASSERT_TRUE(stream.Send(1, "m f=1 5000\nbad"));
  EXPECT_EQ(stream.Next(), "0: 1000 in, 0 rejected");
  EXPECT_EQ(stream.Next(), "1: 1 in, 1 rejected");
  // A small message that is a large one: the limit is that of what comes out.
  ASSERT_TRUE(stream.Send(2, "m f=1\n" + std::string(size_t{2} << 20, '\n')));
  EXPECT_EQ(stream.Next(), "end");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(server_->budget().used_bytes(), 0u);
}

TEST_F(WriteStreamTest, ABatchOverTheLimitIsAnErrorOfItsOwn) {
  for (size_t more : {0, 1}) {
    Stream stream(address());
    ASSERT_TRUE(stream.Open("demo"));
    std::string lines = "m f=1 1\n#";
    lines.resize((1 << 20) + more, 'x');
    stream.Send(0, lines);
    stream.Send(1, "m f=1 1");
    EXPECT_EQ(stream.Next(),
              more == 0 ? "0: 1 in, 0 rejected" : "0: max request size (1048576 bytes) exceeded");
    EXPECT_EQ(stream.Next(), "1: 1 in, 0 rejected");
  }
}

TEST_F(WriteStreamTest, AllOrNothingIsForEachBatch) {
  Stream stream(address());
  stream.open().set_accept_partial(false);
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  stream.Send(1, "m f=2 2\nbad");
  stream.Send(2, "m f=3 3");
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  EXPECT_EQ(stream.Next(), "1: 0 in, 1 rejected");
  EXPECT_EQ(stream.Next(), "2: 1 in, 0 rejected");
  EXPECT_EQ(Count("SELECT count(*) FROM m"), 2);
}

// ---- How streams end.

grpc::Status EndOf(const std::string& address,
                   const std::vector<v1::WriteStreamRequest>& requests) {
  Stream stream(address);
  for (const auto& request : requests) stream.Send(request);
  stream.Close();
  return stream.Finish();
}

std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  google::rpc::ErrorInfo info;
  details.ParseFromString(status.error_details());
  if (details.details_size() > 0) details.details(0).UnpackTo(&info);
  return info.domain() + "/" + info.reason();
}

TEST_F(WriteStreamTest, WhatIsNotAStreamIsSaidToBeNone) {
  v1::WriteStreamRequest open;
  open.mutable_open()->set_database("demo");
  v1::WriteStreamRequest batch;
  batch.mutable_batch()->set_line_protocol("m f=1 1");
  const auto expect = [&](const std::vector<v1::WriteStreamRequest>& requests,
                          grpc::StatusCode code, const std::string& message) {
    const grpc::Status status = EndOf(address(), requests);
    EXPECT_EQ(status.error_code(), code) << message;
    EXPECT_THAT(status.error_message(), HasSubstr(message));
    EXPECT_THAT(ReasonOf(status), HasSubstr("sluice/"));
  };
  expect({batch}, grpc::StatusCode::INVALID_ARGUMENT, "`open`");
  expect({open, open}, grpc::StatusCode::INVALID_ARGUMENT, "`batch`");
  v1::WriteStreamRequest wrong = batch;
  wrong.mutable_batch()->set_sequence(1);
  expect({open, wrong}, grpc::StatusCode::INVALID_ARGUMENT, "is 1, and the next is 0");
  expect({open, batch, batch}, grpc::StatusCode::INVALID_ARGUMENT, "is 0, and the next is 1");
  v1::WriteStreamRequest missing = open;
  missing.mutable_open()->set_database("missing");
  expect({missing}, grpc::StatusCode::NOT_FOUND, "missing");
  v1::WriteStreamRequest writer = open;
  writer.mutable_open()->set_writer_id("not/one");
  expect({writer}, grpc::StatusCode::INVALID_ARGUMENT, "writer_id");
  writer.mutable_open()->set_writer_id(std::string(65, 'x'));
  expect({writer}, grpc::StatusCode::INVALID_ARGUMENT, "writer_id");
  v1::WriteStreamRequest precision = open;
  precision.mutable_open()->set_precision(static_cast<v1::Precision>(99));
  expect({precision}, grpc::StatusCode::INVALID_ARGUMENT, "precision");
  EXPECT_TRUE(EndOf(address(), {open}).ok());
  EXPECT_TRUE(EndOf(address(), {}).ok());
}

TEST_F(WriteStreamTest, BatchesBeforeAWrongOneAreAcknowledged) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  for (int i = 0; i < 100; ++i) stream.Send(i, fmt::format("m f=1 {}", i));
  stream.Send(7, "m f=1 1");
  for (int i = 0; i < 100; ++i) ASSERT_EQ(stream.Next(), fmt::format("{}: 1 in, 0 rejected", i));
  EXPECT_EQ(stream.Next(), "end");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(WriteStreamTest, TheLastNumberThereIsMayBeTheFirst) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo", "w", INT64_MAX));
  stream.Send(INT64_MAX, "m f=1 1");
  EXPECT_EQ(stream.Next(), fmt::format("{}: 1 in, 0 rejected", INT64_MAX));
  stream.Send(INT64_MIN, "m f=1 1");
  EXPECT_EQ(stream.Next(), "end");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

// W-89: looked at for each batch.
TEST_F(WriteStreamTest, ADroppedDatabaseEndsTheStream) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  ASSERT_TRUE(server_->store().DropDatabase(storage::DatabaseName::Parse("demo").value()).ok());
  stream.Send(1, "m f=1 1");
  EXPECT_EQ(stream.Next(), "end");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::NOT_FOUND);
}

class TokenStreamTest : public WriteStreamTest {
 protected:
  TokenStreamTest() : WriteStreamTest({.auth = true}) {}
};

TEST_F(TokenStreamTest, ATokenThatIsDeletedEndsTheStream) {
  Stream nobody(address());
  EXPECT_FALSE(nobody.Open("demo"));
  EXPECT_EQ(nobody.Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  const std::string token =
      server_->CreateToken({.name = "writer", .grants = {{"demo", false, true}}});
  Stream stream(address(), token);
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  ASSERT_TRUE(server_->authority().Delete("writer").ok());
  stream.Send(1, "m f=1 1");
  EXPECT_EQ(stream.Next(), "end");
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(TokenStreamTest, NothingIsDecompressedForWhoHasNoToken) {
  auto stub = v1::WriteService::NewStub(
      grpc::CreateChannel(server_->grpc_address(), grpc::InsecureChannelCredentials()));
  v1::WriteRequest request;
  request.set_database("demo");
  request.set_line_protocol("m f=1\n" + std::string(100'000'000, '\n'));
  const auto write = [&](const std::string& token) {
    grpc::ClientContext context;
    context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    v1::WriteResponse response;
    return stub->Write(&context, request, &response).error_code();
  };
  EXPECT_EQ(write(""), grpc::StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(write("wrong"), grpc::StatusCode::UNAUTHENTICATED);
  const std::string token =
      server_->CreateToken({.name = "gzip", .grants = {{"demo", false, true}}});
  EXPECT_EQ(write(token), grpc::StatusCode::RESOURCE_EXHAUSTED);
  request.set_line_protocol("m f=1\n" + std::string(500'000, '\n'));
  EXPECT_EQ(write(token), grpc::StatusCode::OK);
}

// Two writers of one name are two where their tokens are.
TEST_F(TokenStreamTest, AWriterBelongsToItsToken) {
  std::vector<std::unique_ptr<Stream>> streams;
  for (const char* name : {"one", "two"}) {
    const std::string token =
        server_->CreateToken({.name = name, .grants = {{"demo", false, true}}});
    streams.push_back(std::make_unique<Stream>(address(), token));
    ASSERT_TRUE(streams.back()->Open("demo", "w"));
    EXPECT_FALSE(streams.back()->opened().has_last_written_sequence());
    streams.back()->Send(0, "m f=1 1");
    EXPECT_EQ(streams.back()->Next(), "0: 1 in, 0 rejected");
  }
  streams[0]->Send(1, "m f=1 1");
  EXPECT_EQ(streams[0]->Next(), "1: 1 in, 0 rejected");
}

// ---- Writers.

TEST_F(WriteStreamTest, WhatAWriterHasWrittenIsNotWrittenAgain) {
  {
    Stream first(address());
    ASSERT_TRUE(first.Open("demo", "w", 3));
    EXPECT_FALSE(first.opened().has_last_written_sequence());
    for (int i = 3; i < 10; ++i) first.Send(i, fmt::format("m f={} {}", i, i));
    for (int i = 3; i < 10; ++i) ASSERT_EQ(first.Next(), fmt::format("{}: 1 in, 0 rejected", i));
    first.Send(10, "bad");
    EXPECT_EQ(first.Next(), "10: 0 in, 1 rejected");
    first.Send(11, "# nothing");
    EXPECT_THAT(first.Next(), HasSubstr("11: no points"));
  }
  Stream second(address());
  ASSERT_TRUE(second.Open("demo", "w", 9));
  EXPECT_EQ(second.opened().last_written_sequence(), 10);
  for (int i = 9; i < 12; ++i) second.Send(i, fmt::format("m f=99 {}", i));
  EXPECT_EQ(second.Next(), "9: already written");
  EXPECT_EQ(second.Next(), "10: already written");
  EXPECT_EQ(second.Next(), "11: 1 in, 0 rejected");
  EXPECT_EQ(Count("SELECT f FROM m WHERE time = 9"), 9);
  EXPECT_EQ(Count("SELECT f FROM m WHERE time = 11"), 99);
  Stream other(address());
  ASSERT_TRUE(other.Open("demo", "x", 9));
  EXPECT_FALSE(other.opened().has_last_written_sequence());
}

TEST_F(WriteStreamTest, ANewerStreamOfAWriterEndsTheOlder) {
  for (int round = 0; round < 20; ++round) {
    Stream older(address());
    ASSERT_TRUE(older.Open("demo", fmt::format("w{}", round)));
    int sent = 0;
    while (sent < 50 * round && older.Send(sent, fmt::format("m f=1 {}", sent))) ++sent;
    Stream newer(address());
    ASSERT_TRUE(newer.Open("demo", fmt::format("w{}", round)));
    const int64_t last =
        newer.opened().has_last_written_sequence() ? newer.opened().last_written_sequence() : -1;
    // What the older one was told is what the newer one is told.
    int64_t told = -1;
    for (std::string ack = older.Next(); ack != "end"; ack = older.Next()) {
      ASSERT_EQ(ack, fmt::format("{}: 1 in, 0 rejected", ++told));
    }
    EXPECT_EQ(told, last) << round;
    EXPECT_EQ(older.Finish().error_code(), grpc::StatusCode::ABORTED);
    for (int64_t i = 0; i <= last + 1; ++i) ASSERT_TRUE(newer.Send(i, "m f=2 1"));
    for (int64_t i = 0; i <= last; ++i) {
      ASSERT_EQ(newer.Next(), fmt::format("{}: already written", i));
    }
    EXPECT_EQ(newer.Next(), fmt::format("{}: 1 in, 0 rejected", last + 1));
  }
}

TEST_F(WriteStreamTest, ManyStreamsOfOneWriterLeaveOne) {
  std::vector<std::thread> threads;
  std::atomic<int> written = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        Stream stream(address());
        if (!stream.Open("demo", "w")) {
          EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::ABORTED);
          continue;
        }
        stream.Send(0, "m f=1 1");
        const std::string ack = stream.Next();
        if (ack == "0: 1 in, 0 rejected") ++written;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(written, 1);
}

// ---- Memory, and clients that do nothing.

TEST_F(WriteStreamTest, WhoDoesNotReadIsNotReadFrom) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  std::string bad;
  for (int i = 0; i < 2000; ++i) bad += "bad\n";
  std::atomic<int> sent = 0;
  std::thread sender([&] {
    for (int i = 0; i < 3000 && stream.Send(i, bad); ++i) ++sent;
  });
  // Until no more goes out.
  for (int before = -1; before != sent;) {
    before = sent;
    std::this_thread::sleep_for(seconds(1));
  }
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, 3000);
  // What it holds: the window, and what it has to tell.
  EXPECT_LT(server_->budget().used_bytes(), size_t{16} << 20);
  EXPECT_EQ(Count("SELECT 7"), 7);
  for (int i = 0; i < 3000; ++i) {
    ASSERT_EQ(stream.Next(), fmt::format("{}: 0 in, 2000 rejected", i));
  }
  sender.join();
  stream.Close();
  EXPECT_TRUE(stream.Finish().ok());
  EXPECT_EQ(server_->budget().used_bytes(), 0u);
}

TEST_F(WriteStreamTest, ClientsThatLeaveGiveEverythingBack) {
  for (int i = 0; i < 100; ++i) {
    Stream stream(address());
    ASSERT_TRUE(stream.Open("demo", i % 2 == 0 ? "" : "w", 1000 * i));
    for (int j = 0; j < i; ++j) stream.Send(1000 * i + j, "m f=1 1");
    stream.Cancel();
    EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  for (int i = 0; i < 100 && server_->budget().used_bytes() > 0; ++i) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(server_->budget().used_bytes(), 0u);
}

class ScarceStreamTest : public WriteStreamTest {
 protected:
  ScarceStreamTest()
      : WriteStreamTest({.max_memory_bytes = 4 << 20, .max_judging_bytes = 4 << 20}) {}
};

TEST_F(ScarceStreamTest, WithoutMemoryTheStreamIsToComeLater) {
  server::MemoryBudget::Share others(server_->budget());
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  // The acknowledgement may still be on its way.
  while (!others.Grow((4 << 20) - 1).ok()) std::this_thread::sleep_for(milliseconds(5));
  stream.Send(1, "m f=1 1");
  EXPECT_EQ(stream.Next(), "end");
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(stream.context().GetServerTrailingMetadata().contains("grpc-retry-pushback-ms"));
}

// Of what is too much for ever there is an error, and the rest goes on.
TEST_F(ScarceStreamTest, ABatchThatNeverFitsIsAnErrorOfItsOwn) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  v1::WriteStreamRequest large;
  v1::TableBatch& table = *large.mutable_batch()->mutable_columns()->add_tables();
  table.set_table("m");
  table.set_row_count(1'000'000);
  for (int i = 0; i < 2; ++i) {
    v1::FieldColumn& field = *table.add_fields();
    field.set_key(fmt::format("f{}", i));
    field.mutable_booleans()->set_count(1'000'000);
    field.mutable_booleans()->set_bits(std::string(125'000, '\0'));
  }
  stream.Send(large);
  stream.Send(1, "m f=1 1");
  EXPECT_THAT(stream.Next(), HasSubstr("0: "));
  EXPECT_EQ(stream.Next(), "1: 1 in, 0 rejected");
}

// ---- Ends that the server decides on.

TEST_F(WriteStreamTest, AStopIsAnnouncedAndWhatComesInTimeIsTaken) {
  Stream busy(address());
  Stream idle(address());
  Stream unopened(address());
  ASSERT_TRUE(busy.Open("demo"));
  ASSERT_TRUE(idle.Open("demo"));
  busy.Send(0, "m f=1 1");
  EXPECT_EQ(busy.Next(), "0: 1 in, 0 rejected");
  server_->readiness().Drain();
  server_->grpc().Drain(milliseconds(700));
  EXPECT_EQ(busy.Next(), "drain REASON_SHUTDOWN");
  EXPECT_EQ(idle.Next(), "drain REASON_SHUTDOWN");
  busy.Send(1, "m f=1 2");
  EXPECT_EQ(busy.Next(), "1: 1 in, 0 rejected");
  Stream late(address());
  EXPECT_FALSE(late.Open("demo"));
  EXPECT_EQ(late.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(busy.Next(), "end");
  EXPECT_EQ(busy.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(idle.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(unopened.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(server_->grpc().WaitForCalls(seconds(5)));
  EXPECT_EQ(Count("SELECT count(*) FROM m"), 2);
}

class OldStreamTest : public WriteStreamTest {
 protected:
  OldStreamTest() : WriteStreamTest({.max_connection_age = milliseconds(500)}) {}
};

TEST_F(OldStreamTest, AnOldStreamIsToldToBeOpenedAnew) {
  Stream stream(address());
  ASSERT_TRUE(stream.Open("demo"));
  stream.Send(0, "m f=1 1");
  EXPECT_EQ(stream.Next(), "0: 1 in, 0 rejected");
  EXPECT_EQ(stream.Next(), "drain REASON_MAX_AGE");
  stream.Send(1, "m f=1 2");
  EXPECT_EQ(stream.Next(), "1: 1 in, 0 rejected");
  stream.Close();
  EXPECT_TRUE(stream.Finish().ok());
}

}  // namespace
}  // namespace sluice::grpc_door

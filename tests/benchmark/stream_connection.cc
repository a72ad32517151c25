#include "tests/benchmark/stream_connection.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "server/lineprotocol/line_reader.h"
#include "sluice/v1/write.pb.h"
#include "storage/bytes.h"
#include "tests/fixture/typed_points.h"

namespace sluice::benchmark {
namespace {

using Clock = std::chrono::steady_clock;

grpc::ByteBuffer BufferOf(const std::string& message) {
  const grpc::Slice slice(message);
  return grpc::ByteBuffer(&slice, 1);
}

// What comes before the points of a batch.
std::string HeadOf(int64_t sequence, size_t points_bytes) {
  constexpr uint8_t kBytes = 2;
  std::string number;
  storage::PutByte(number, v1::WriteStreamBatch::kSequenceFieldNumber << 3);
  storage::PutVarint(number, static_cast<uint64_t>(sequence));
  std::string head;
  storage::PutByte(head, v1::WriteStreamRequest::kBatchFieldNumber << 3 | kBytes);
  storage::PutVarint(head, number.size() + points_bytes);
  return head + number;
}

// Channels that are alike share a connection otherwise.
std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

}  // namespace

std::string MakeBatch(const std::string& body, StreamForm form) {
  v1::WriteStreamBatch batch;
  if (form == StreamForm::kLines) {
    batch.set_line_protocol(body);
    return batch.SerializeAsString();
  }
  fixture::ColumnEncoder encoder(form == StreamForm::kCompactColumns);
  lineprotocol::LineReader reader(body);
  while (reader.Next()) {
    if (form == StreamForm::kRows) {
      fixture::AddRow(reader.line(), *batch.mutable_rows());
    } else {
      encoder.Add(reader.line());
    }
  }
  if (form != StreamForm::kRows) *batch.mutable_columns() = encoder.Take();
  return batch.SerializeAsString();
}

class StreamConnection::Stream final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Stream(const std::string& address, const std::string& database) : stub_(Connect(address)) {
    stub_.PrepareBidiStreamingCall(&context_, "/sluice.v1.WriteService/WriteStream", {}, this);
    v1::WriteStreamRequest open;
    open.mutable_open()->set_database(database);
    out_ = BufferOf(open.SerializeAsString());
    AddHold();
    StartWrite(&out_);
    StartRead(&in_);
    StartCall();
  }

  std::string Send(const std::vector<const std::string*>& batches, size_t max_under_way,
                   std::vector<double>& latencies_ms) {
    std::unique_lock lock(mutex_);
    batches_ = &batches;
    next_ = 0;
    left_ = batches.size();
    max_under_way_ = max_under_way;
    latencies_ms_ = &latencies_ms;
    Write();
    changed_.wait(lock, [this] { return left_ == 0 || !failure_.empty(); });
    batches_ = nullptr;
    return failure_;
  }

  void Close() {
    std::unique_lock lock(mutex_);
    lock.unlock();
    context_.TryCancel();
    RemoveHold();
    lock.lock();
    changed_.wait(lock, [this] { return done_; });
  }

  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    if (ok) Write();
  }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    if (!ok) return Fail("the stream has ended");
    v1::WriteStreamResponse response;
    grpc::ProtoBufferReader reader(&in_);
    if (!response.ParseFromZeroCopyStream(&reader)) {
      return Fail("not an answer");
    }
    for (const v1::WriteStreamAck& ack : response.acks().acks()) {
      if (!ack.has_written() || ack.written().rejected_points() != 0) Fail(ack.ShortDebugString());
      latencies_ms_->push_back(
          std::chrono::duration<double, std::milli>(Clock::now() - begun_.front()).count());
      begun_.pop_front();
      if (--left_ == 0) changed_.notify_all();
    }
    Write();
    StartRead(&in_);
  }

  void OnDone(const grpc::Status& status) override {
    std::lock_guard lock(mutex_);
    Fail(status.error_message());
    done_ = true;
    changed_.notify_all();
  }

 private:
  void Write() {
    if (writing_ || batches_ == nullptr || next_ == batches_->size()) return;
    if (begun_.size() >= max_under_way_) return;
    const std::string& batch = *(*batches_)[next_++];
    const grpc::Slice slices[] = {
        grpc::Slice(HeadOf(sequence_++, batch.size())),
        grpc::Slice(batch.data(), batch.size(), grpc::Slice::STATIC_SLICE)};
    out_ = grpc::ByteBuffer(slices, 2);
    begun_.push_back(Clock::now());
    writing_ = true;
    grpc::WriteOptions options;
    if (begun_.size() < max_under_way_ && next_ < batches_->size()) options.set_buffer_hint();
    StartWrite(&out_, options);
  }
  void Fail(const std::string& failure) {
    if (failure_.empty()) failure_ = failure.empty() ? "the stream has ended" : failure;
    changed_.notify_all();
  }

  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;

  std::mutex mutex_;
  std::condition_variable changed_;
  const std::vector<const std::string*>* batches_ = nullptr;
  size_t next_ = 0;
  size_t left_ = 0;
  size_t max_under_way_ = 0;
  std::vector<double>* latencies_ms_ = nullptr;
  std::deque<Clock::time_point> begun_;
  int64_t sequence_ = 0;
  bool writing_ = true;
  bool done_ = false;
  std::string failure_;
};

StreamConnection::StreamConnection(const std::string& address, const std::string& database)
    : stream_(std::make_unique<Stream>(address, database)) {}

StreamConnection::~StreamConnection() { stream_->Close(); }

std::string StreamConnection::Send(const std::vector<const std::string*>& batches,
                                   size_t max_under_way, std::vector<double>& latencies_ms) {
  return stream_->Send(batches, max_under_way, latencies_ms);
}

}  // namespace sluice::benchmark

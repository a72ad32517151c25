#include "server/grpc/write_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "server/grpc/call.h"
#include "server/grpc/points_in.h"
#include "server/grpc/request_ids.h"
#include "server/grpc/status.h"
#include "server/grpc/write_answer.h"
#include "server/ingest/bad_field.h"
#include "server/resources/memory_budget.h"
#include "server/typed/wire_reader.h"
#include "storage/caught.h"
#include "storage/reason.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

// Batches that are judged and committed together; a larger one goes alone.
constexpr size_t kGroupBytes = size_t{1} << 20;
// With so much to be told that the client has not read, no more is judged. With what one group adds
// it is less than the 4 MiB that clients take at once.
constexpr size_t kAcksBytes = size_t{512} << 10;
// Nobody has been asked for a token by then.
constexpr size_t kMaxOpenBytes = 16 << 10;
constexpr std::chrono::milliseconds kWatchPeriod(100);
constexpr std::chrono::seconds kPatience(5);

grpc::Status Left() { return grpc::Status(grpc::StatusCode::CANCELLED, "the client has left"); }

// Takes no memory itself.
grpc::Status OutOfMemory() { return grpc::Status(grpc::StatusCode::UNAVAILABLE, "out of memory"); }

// Whether other batches would meet it as well, or this one would not later.
bool EndsStream(const absl::Status& error) {
  return !absl::IsInvalidArgument(error) && !absl::IsResourceExhausted(error);
}

// The number after one: 0 where there was none, nothing after the last that there is.
std::optional<int64_t> After(std::optional<int64_t> sequence) {
  if (!sequence) return 0;
  if (*sequence == std::numeric_limits<int64_t>::max()) return std::nullopt;
  return *sequence + 1;
}

// `status` has details, which say all of it.
v1::BatchError ToProto(const grpc::Status& status) {
  v1::BatchError error;
  if (error.ParseFromString(status.error_details())) return error;
  error.Clear();
  error.set_code(status.error_code());
  error.set_message(status.error_message());
  return error;
}

}  // namespace

// One stream. Batches are read while those before are judged and committed; all that have come
// meanwhile go together, one group at a time, which keeps their order and costs one commit.
//
// It is deleted in OnDone. Before that come all reactions that gRPC has begun, and whatever has
// made it busy.
class WriteStreams::Stream final : public Reactor {
 public:
  Stream(std::shared_ptr<WriteStreams> streams, grpc::CallbackServerContext* context,
         Clock::time_point old_at)
      : streams_(std::move(streams)),
        context_(context),
        peer_(PeerOf(*context)),
        old_at_(old_at),
        memory_(streams_->parts_.bodies) {}

  // Once it is among the others.
  void Start() {
    std::lock_guard lock(mutex_);
    Read();
  }

  // The client is told that the stream will be ended.
  void Drain(v1::WriteStreamDrain::Reason reason, std::chrono::milliseconds grace) {
    std::lock_guard lock(mutex_);
    if (end_at_) return;
    end_at_ = Clock::now() + grace;
    why_ = reason == v1::WriteStreamDrain::REASON_SHUTDOWN ? "SHUTTING_DOWN" : "STREAM_TOO_OLD";
    drain_.emplace();
    drain_->set_reason(reason);
    drain_->mutable_grace()->set_seconds(grace.count() / 1000);
    drain_->mutable_grace()->set_nanos(static_cast<int32_t>(grace.count() % 1000 * 1'000'000));
    if (opened_) Send();
  }

  // Told now and then what time it is.
  void EndIfDue(Clock::time_point now, std::chrono::milliseconds grace) {
    if (now >= old_at_) Drain(v1::WriteStreamDrain::REASON_MAX_AGE, grace);
    std::lock_guard lock(mutex_);
    if (!end_at_ || now < *end_at_ || finished_) return;
    // Whoever does not even read what is told is not waited for.
    if (writing_ && now > *end_at_ + kPatience) context_->TryCancel();
    if (closed_ || ended_) return;
    CloseWith(ToGrpc(storage::WithReason(
        absl::UnavailableError("the server has ended the stream; open a new one"), why_)));
  }

  // Ends it for the sake of another one of the same writer. Calls `gone` once it does not write any
  // more.
  void GiveWay(std::function<void()> gone) {
    {
      std::lock_guard lock(mutex_);
      if (!end_at_) end_at_ = Clock::now();
      EndWith(ToGrpc(storage::WithReason(
          absl::AbortedError(
              "another stream was opened with this writer_id; two writers must not share one"),
          "WRITER_FENCED", {{"writer_id", open_.writer_id()}})));
      if (busy_) {
        gone_.push_back(std::move(gone));
        return;
      }
    }
    gone();
  }

  void OnReadDone(bool ok) override {
    const absl::Status thrown = storage::Caught([&] { Take(ok); });
    if (!thrown.ok()) Fail(thrown);
  }

  void OnWriteDone(bool ok) override {
    {
      std::lock_guard lock(mutex_);
      writing_ = false;
      memory_.Shrink(std::exchange(sent_bytes_, 0));
      if (!ok) EndWith(Left());
      Send();
      ReadOn();
    }
    Advance();
  }

  void OnCancel() override {
    std::lock_guard lock(mutex_);
    EndWith(Left());
  }

  void OnDone() override {
    // Whoever has finished it has let go of it.
    { std::lock_guard lock(mutex_); }
    streams_->Remove(this);
    delete this;
  }

 private:
  // A batch that has been read. It stays where it is until it is acknowledged: `points` refer to
  // it.
  struct Batch {
    int64_t sequence = 0;
    Message message;
    PointsIn points;
    int64_t arrival_ns = 0;
    // What is wrong with it before it has been judged.
    absl::Status error;
  };
  using Outcomes = absl::StatusOr<std::vector<ingest::Outcome>>;

  // Sees to it that a group that was handed over is answered, and once.
  class Answer {
   public:
    explicit Answer(Stream* stream) : stream_(stream) {}
    Answer(Answer&& other) noexcept : stream_(std::exchange(other.stream_, nullptr)) {}
    Answer& operator=(Answer&&) = delete;
    ~Answer() {
      if (stream_ != nullptr) (*this)(absl::UnavailableError("the write came to no end"));
    }
    void operator()(const Outcomes& outcomes) {
      std::exchange(stream_, nullptr)->Written(outcomes);
    }

   private:
    Stream* stream_;
  };

  // ---- Reading. All that is not said to take the lock is under it.

  void Read() {
    reading_ = true;
    StartRead(&in_);
  }

  // If there is room, and anything to come.
  void ReadOn() {
    const bool room =
        waiting_.size() < kWindowBatches && window_bytes_ < kWindowBytes && ack_bytes_ < kAcksBytes;
    if (room && opened_ && !reading_ && !closed_ && !ended_) Read();
  }

  // A message has come, or (not `ok`) the client has closed its side. Takes the lock.
  void Take(bool ok) {
    {
      std::unique_lock lock(mutex_);
      reading_ = false;
      if (!ok) return CloseWith(grpc::Status::OK);
      if (closed_ || ended_) return;
      if (!opened_) return TakeOpen(std::move(lock));
      TakeBatch();
      ReadOn();
    }
    Advance();
  }

  void TakeOpen(std::unique_lock<std::mutex> lock) {
    if (in_.Length() > kMaxOpenBytes) {
      return EndWith(
          ToGrpc(absl::InvalidArgumentError("the first message has to be `open`"), "open"));
    }
    v1::WriteStreamRequest message;
    Message bytes(in_);
    const absl::Status whole = bytes.Decompress(kMaxOpenBytes, streams_->parts_.bodies);
    if (!whole.ok()) return EndWith(ToGrpc(whole, "open"));
    if (!message.ParseFromArray(bytes.bytes().data(), static_cast<int>(bytes.bytes().size()))) {
      return EndWith(ToGrpc(NotParsed(), "open"));
    }
    if (!message.has_open()) {
      return EndWith(
          ToGrpc(absl::InvalidArgumentError("the first message has to be `open`"), "open"));
    }
    // What is not known takes many times its bytes, and is not kept for as long as the stream
    // lasts: a copy has nothing of it.
    message.DiscardUnknownFields();
    open_ = message.open();
    const absl::StatusOr<ingest::Precision> precision = FromProto(open_.precision());
    claim_ =
        ClaimOf(streams_->parts_, *context_, server::Act::kWrite, open_.database(),
                precision.ok() ? CheckId(open_.writer_id(), "open.writer_id") : precision.status());
    claim_.counts = false;
    const absl::StatusOr<server::Pass> pass = streams_->gate_.Admit(claim_, peer_);
    claim_.counts = true;
    if (!pass.ok()) {
      const bool about_precision = pass.status() == precision.status();
      return EndWith(
          ToGrpc(pass.status(), about_precision ? "open.precision" : "database", open_.database()));
    }
    precision_ = *precision;
    claim_.act = server::Act::kWriteOn;
    if (open_.writer_id().empty()) return Opened(std::nullopt);
    writer_ = fmt::format("{}\n{}", pass->origin.principal, open_.writer_id());
    busy_ = true;
    lock.unlock();
    WhileBusy([this] {
      streams_->Claim(fmt::format("{}\n{}", open_.database(), writer_), this, [this] {
        // The older stream calls this, which is not to meet what is thrown here.
        WhileBusy([this] {
          streams_->parts_.write_workers.Post([this] { WhileBusy([this] { FindMark(); }); });
        });
      });
    });
  }

  // How far the writer has come, now that no other stream writes for it. Takes the lock.
  void FindMark() {
    absl::StatusOr<std::optional<int64_t>> mark = std::nullopt;
    const auto database = streams_->parts_.store.FindDatabase(*claim_.database);
    if (database.ok()) mark = (*database)->FindMark(writer_);
    std::unique_lock lock(mutex_);
    if (!mark.ok()) {
      EndWith(ToGrpc(mark.status()));
    } else if (!ended_) {
      Opened(*mark);
    }
    Rest(std::move(lock));
  }

  void Opened(std::optional<int64_t> last_written) {
    last_written_ = last_written;
    next_sequence_ = open_.has_first_sequence() ? open_.first_sequence() : After(last_written);
    opened_ = true;
    v1::WriteStreamOpened& opened = *to_send_.mutable_opened();
    opened.mutable_window()->set_max_bytes(kWindowBytes);
    opened.mutable_window()->set_max_batches(kWindowBatches);
    opened.set_max_batch_bytes(static_cast<int64_t>(streams_->options_.max_batch_bytes));
    if (last_written) opened.set_last_written_sequence(*last_written);
    Send();
    ReadOn();
  }

  void TakeBatch() {
    const size_t bytes = in_.Length();
    absl::Status taken = memory_.GrowBody(bytes);
    if (!taken.ok()) return CloseWith(ToGrpc(taken, "batch"));
    Batch& batch = waiting_.emplace_back();
    batch.message = Message(in_);
    taken = batch.message.Decompress(streams_->options_.max_message_bytes, streams_->parts_.bodies);
    if (taken.ok()) taken = ReadBatch(batch);
    // Points without a time get this: those of two batches are two points.
    batch.arrival_ns = last_arrival_ns_ = std::max(storage::NowNs(), last_arrival_ns_ + 1);
    if (taken.ok()) {
      window_bytes_ += bytes;
      return;
    }
    waiting_.pop_back();
    memory_.Shrink(bytes);
    CloseWith(ToGrpc(taken, "batch"));
  }

  absl::Status ReadBatch(Batch& batch) {
    std::string_view message;
    typed::WireReader reader(batch.message.bytes());
    while (reader.Next()) {
      const bool is_batch = reader.field().Is(v1::WriteStreamRequest::kBatchFieldNumber,
                                              typed::WireField::Type::kBytes);
      if (!is_batch) return absl::InvalidArgumentError("every message after `open` is a `batch`");
      message = reader.field().bytes;
    }
    if (!reader.ok()) return NotParsed();
    v1::WriteStreamBatch parsed;
    const absl::StatusOr<PointsIn> points = ParseApart(message, kBatchPoints, parsed);
    if (!points.ok()) return points.status();
    if (!next_sequence_) {
      return ingest::BadField("batch.sequence", "there is no number after that of the last batch");
    }
    if (parsed.sequence() != *next_sequence_) {
      return storage::WithReason(
          ingest::BadField("batch.sequence", fmt::format("is {}, and the next is {}",
                                                         parsed.sequence(), *next_sequence_)),
          "BATCH_OUT_OF_SEQUENCE", {{"expected", std::to_string(*next_sequence_)}});
    }
    batch.sequence = *next_sequence_;
    next_sequence_ = After(batch.sequence);
    batch.points = *points;
    batch.error = points->Check();
    const size_t max_bytes = streams_->options_.max_batch_bytes;
    if (points->bytes.size() > max_bytes) batch.error = server::BodyTooLarge(max_bytes);
    return absl::OkStatus();
  }

  // ---- Writing.

  bool CanWrite() const { return !ended_ && !waiting_.empty() && ack_bytes_ < kAcksBytes; }

  // Writes what waits, unless something is being written. Takes the lock; for reactions.
  void Advance() {
    std::unique_lock lock(mutex_);
    if (busy_ || !CanWrite()) return;
    busy_ = true;
    lock.unlock();
    WhileBusy([this] { WriteGroup(std::unique_lock(mutex_)); });
  }

  // The stream is busy: `work` lets it rest or passes that on to others, and throws before either.
  // Then the stream ends. Takes the lock.
  template <typename Work>
  void WhileBusy(Work work) {
    if (storage::Caught(work).ok()) return;
    std::unique_lock lock(mutex_);
    group_ = 0;
    EndForMemory();
    Rest(std::move(lock));
  }

  // The stream is busy: this goes on with it, or lets it rest.
  void WriteGroup(std::unique_lock<std::mutex> lock) {
    while (CanWrite() && AckAtOnce(waiting_.front())) Pop();
    if (!CanWrite()) return Rest(std::move(lock));
    ingest::WriteRequest request{
        .database = *claim_.database,
        .precision = precision_,
        .options = {.accept_partial = !open_.has_accept_partial() || open_.accept_partial(),
                    .no_sync = open_.no_sync()}};
    if (!writer_.empty()) request.mark = {writer_, waiting_.front().sequence};
    size_t bytes = 0;
    for (const Batch& batch : waiting_) {
      const size_t batch_bytes = batch.message.bytes().size();
      const bool full = bytes > 0 && bytes + batch_bytes > kGroupBytes;
      if (full || group_ == max_group_ || !batch.error.ok()) break;
      request.batches.push_back(batch.points.MakeSource());
      request.arrivals_ns.push_back(batch.arrival_ns);
      bytes += batch_bytes;
      ++group_;
    }
    max_group_ = kWindowBatches;
    lock.unlock();
    Answer answer(this);
    storage::Caught([&] {
      absl::StatusOr<server::Pass> pass = streams_->gate_.Admit(claim_, peer_);
      if (!pass.ok()) return answer(pass.status());
      pass->body_bytes = bytes;
      streams_->gate_.Write(*std::move(pass), std::move(request), std::move(answer));
    }).IgnoreError();
  }

  // Whether a batch needs no writing; it has been acknowledged then.
  bool AckAtOnce(const Batch& batch) {
    if (last_written_ && batch.sequence <= *last_written_) {
      NewAck(batch).mutable_already_written();
    } else if (!batch.error.ok()) {
      *NewAck(batch).mutable_error() = ToProto(StatusOf(batch, batch.error));
    } else {
      return false;
    }
    return true;
  }

  // A group is over. Takes the lock.
  void Written(const Outcomes& outcomes) {
    std::unique_lock lock(mutex_);
    const absl::Status thrown = storage::Caught([&] { AckGroup(outcomes); });
    if (!thrown.ok()) EndForMemory();
    if (!CanWrite()) return Rest(std::move(lock));
    Send();
    ReadOn();
    lock.unlock();
    // The thread that commits is to go on committing.
    WhileBusy([this] {
      streams_->parts_.write_workers.Post(
          [this] { WhileBusy([this] { WriteGroup(std::unique_lock(mutex_)); }); });
    });
  }

  void AckGroup(const Outcomes& outcomes) {
    const size_t size = std::exchange(group_, 0);
    if (outcomes.ok()) {
      for (const ingest::Outcome& outcome : *outcomes) {
        Fill(outcome, *NewAck(waiting_.front()).mutable_written());
        Pop();
      }
      return;
    }
    const Batch& first = waiting_.front();
    const grpc::Status status = StatusOf(first, outcomes.status());
    if (EndsStream(outcomes.status())) return EndWith(status);
    // All of them together may be too much where none of them is.
    if (size > 1 && absl::IsResourceExhausted(outcomes.status())) {
      max_group_ = 1;
      return;
    }
    *NewAck(first).mutable_error() = ToProto(status);
    Pop();
  }

  // Nothing more is to be written now. Nothing of the stream is touched afterwards: it may be gone.
  void Rest(std::unique_lock<std::mutex> lock) {
    busy_ = false;
    std::vector<std::function<void()>> gone;
    gone.swap(gone_);
    Send();
    ReadOn();
    FinishIfDone();
    lock.unlock();
    for (const auto& call : gone) call();
  }

  // Takes the lock.
  void Fail(const absl::Status& error) {
    std::lock_guard lock(mutex_);
    EndWith(ToGrpc(error));
  }

  // ---- Answering.

  grpc::Status StatusOf(const Batch& batch, const absl::Status& error) const {
    return WriteError(error, batch.points, open_.database());
  }

  v1::WriteStreamAck& NewAck(const Batch& batch) {
    v1::WriteStreamAck& ack = *to_send_.mutable_acks()->add_acks();
    ack.set_sequence(batch.sequence);
    return ack;
  }

  // The first batch is done with, and the last acknowledgement is its own.
  void Pop() {
    const size_t bytes = waiting_.front().message.received_bytes();
    window_bytes_ -= bytes;
    memory_.Shrink(bytes);
    waiting_.pop_front();
    auto& acks = *to_send_.mutable_acks()->mutable_acks();
    v1::WriteStreamAck& ack = acks[acks.size() - 1];
    size_t ack_bytes = ack.ByteSizeLong() + sizeof(uint32_t) * DeltasOf(ack);
    if (memory_.Grow(ack_bytes).ok()) {
      charged_ack_bytes_ += ack_bytes;
    } else if (ack.has_written()) {
      // There is no memory for all that there is to say: how many has to do.
      ack.mutable_written()->clear_errors();
      ack.mutable_written()->clear_rejected_index_deltas();
      ack.mutable_written()->clear_rejection_counts();
      ack_bytes = ack.ByteSizeLong();
    }
    ack_bytes_ += ack_bytes;
  }

  // An acknowledgement that was begun says nothing, or worse.
  void EndForMemory() {
    if (to_send_.has_acks() && !waiting_.empty()) {
      auto& acks = *to_send_.mutable_acks()->mutable_acks();
      const bool is_begun =
          !acks.empty() && acks[acks.size() - 1].sequence() == waiting_.front().sequence;
      if (is_begun) acks.RemoveLast();
    }
    EndWith(OutOfMemory());
  }

  static size_t DeltasOf(const v1::WriteStreamAck& ack) {
    return static_cast<size_t>(ack.written().rejected_index_deltas_size());
  }

  // Sends what there is to say, unless something is being sent.
  void Send() {
    if (writing_ || finished_) return;
    v1::WriteStreamResponse drain;
    v1::WriteStreamResponse* message = &to_send_;
    const bool drains = drain_ && opened_ && !to_send_.has_opened();
    if (drains) {
      message = &drain;
    } else if (to_send_.message_case() == v1::WriteStreamResponse::MESSAGE_NOT_SET) {
      return FinishIfDone();
    } else {
      ack_bytes_ = 0;
      sent_bytes_ = std::exchange(charged_ack_bytes_, 0);
    }
    bool made = false;
    storage::Caught([&] {
      if (drains) *drain.mutable_drain() = *std::exchange(drain_, std::nullopt);
      made = Serialize(*message, out_).ok();
    }).IgnoreError();
    message->Clear();
    if (!made) {
      // Nothing more is said, for nobody would come back to say it.
      to_send_.Clear();
      return EndWith(OutOfMemory());
    }
    writing_ = true;
    StartWrite(&out_);
  }

  // Reads no more. When all that has been read is acknowledged the stream ends with `status`.
  void CloseWith(const grpc::Status& status) {
    if (!closed_) closed_ = status;
    FinishIfDone();
  }

  // Writes no more either. The first counts.
  void EndWith(const grpc::Status& status) {
    if (!ended_) ended_ = status;
    FinishIfDone();
  }

  void FinishIfDone() {
    if (finished_ || writing_ || busy_) return;
    const bool lost = ended_ && ended_->error_code() == grpc::StatusCode::CANCELLED;
    const bool told = to_send_.message_case() == v1::WriteStreamResponse::MESSAGE_NOT_SET;
    if (!told && !lost) return;
    if (!ended_ && (!closed_ || !waiting_.empty())) return;
    finished_ = true;
    grpc_door::Finish(context_, static_cast<Reactor*>(this), ended_ ? *ended_ : *closed_);
  }

  const std::shared_ptr<WriteStreams> streams_;
  grpc::CallbackServerContext* const context_;
  const std::string peer_;
  const Clock::time_point old_at_;

  std::mutex mutex_;
  // For what has been read and what is to be told.
  server::MemoryBudget::Share memory_;
  grpc::ByteBuffer in_;
  grpc::ByteBuffer out_;

  v1::WriteStreamOpen open_;
  server::Claim claim_{};
  ingest::Precision precision_ = ingest::Precision::kNanosecond;
  // For the store; empty where the stream names none.
  std::string writer_;
  std::optional<int64_t> last_written_;
  int64_t last_arrival_ns_ = 0;
  // Nothing after the last number that there is.
  std::optional<int64_t> next_sequence_;

  // Read, and not acknowledged. The first `group_` of them are being written.
  std::deque<Batch> waiting_;
  size_t window_bytes_ = 0;
  size_t group_ = 0;
  size_t max_group_ = kWindowBatches;

  // What is said next; the bytes of acknowledgements in it, how many of those are charged, and how
  // many of what is being sent.
  v1::WriteStreamResponse to_send_;
  size_t ack_bytes_ = 0;
  size_t charged_ack_bytes_ = 0;
  size_t sent_bytes_ = 0;
  std::optional<v1::WriteStreamDrain> drain_;
  std::optional<Clock::time_point> end_at_;
  std::string_view why_;

  bool opened_ = false;
  bool reading_ = false;
  bool writing_ = false;
  bool finished_ = false;
  // Something is under way that comes back to this: a group, a worker, the look for its mark.
  bool busy_ = false;
  // It reads no more; it writes no more.
  std::optional<grpc::Status> closed_;
  std::optional<grpc::Status> ended_;
  // Told when it is no longer busy.
  std::vector<std::function<void()>> gone_;
};

WriteStreams::WriteStreams(const server::Parts& parts, const WriteStreamOptions& options)
    : parts_(parts), options_(options), gate_(parts, "grpc_stream") {
  watch_ = std::jthread([this](std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any wake;
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      storage::Caught([this] { EndOld(); }).IgnoreError();
      wake.wait_for(lock, stop, kWatchPeriod, [] { return false; });
    }
  });
}

WriteStreams::~WriteStreams() = default;

WriteStreams::Reactor* WriteStreams::Open(grpc::CallbackServerContext* context) {
  auto* stream = new Stream(shared_from_this(), context, EndOfLife());
  {
    std::lock_guard lock(mutex_);
    streams_.insert(stream);
  }
  stream->Start();
  return stream;
}

// Of a stream that begins now. Those that begin together do not end together.
WriteStreams::Clock::time_point WriteStreams::EndOfLife() const {
  if (options_.max_age.count() == 0) return Clock::time_point::max();
  thread_local std::minstd_rand random(std::random_device{}());
  const int64_t spread = options_.max_age.count() / 10;
  std::uniform_int_distribution<int64_t> jitter(-spread, spread);
  return Clock::now() + options_.max_age + std::chrono::milliseconds(jitter(random));
}

void WriteStreams::Remove(Stream* stream) {
  std::lock_guard lock(mutex_);
  streams_.erase(stream);
  std::erase_if(by_writer_, [stream](const auto& entry) { return entry.second == stream; });
}

void WriteStreams::Claim(const std::string& writer, Stream* stream, std::function<void()> alone) {
  // Held all along: the older one is not gone before it has been told.
  std::lock_guard lock(mutex_);
  Stream*& holder = by_writer_[writer];
  if (holder == nullptr) {
    holder = stream;
    return alone();
  }
  // Where that throws, the older one is still it.
  holder->GiveWay(std::move(alone));
  holder = stream;
}

void WriteStreams::EndOld() {
  std::lock_guard lock(mutex_);
  const Clock::time_point now = Clock::now();
  for (Stream* stream : streams_) stream->EndIfDue(now, options_.grace);
}

void WriteStreams::Drain(std::chrono::milliseconds grace) {
  std::lock_guard lock(mutex_);
  for (Stream* stream : streams_) {
    // Whom that cannot be told finds out when it ends.
    storage::Caught([&] {
      stream->Drain(v1::WriteStreamDrain::REASON_SHUTDOWN, grace);
    }).IgnoreError();
  }
}

size_t WriteStreams::size() const {
  std::lock_guard lock(mutex_);
  return streams_.size();
}

}  // namespace sluice::grpc_door

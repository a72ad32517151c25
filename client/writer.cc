#include "client/writer.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <random>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "client/batch_builder.h"
#include "client/channel.h"
#include "client/stream_call.h"
#include "google/rpc/status.pb.h"
#include "sluice/v1/write.pb.h"

namespace sluice::client {
namespace {

using Clock = std::chrono::steady_clock;
constexpr Clock::time_point kNever = Clock::time_point::max();

constexpr size_t kMaxBatchPoints = 1'000'000;
constexpr size_t kMaxTags = 4'095;
// What a batch has besides its bytes and cookies.
constexpr size_t kBatchBytes = 1024;
// Arrays grow by doubling, and what is sealed is there twice for a moment.
constexpr size_t kBuildingFactor = 2;
// How long the server may take to end a stream on which there is nothing more to say.
constexpr auto kEndTime = std::chrono::seconds(1);

Clock::time_point After(Clock::time_point time, absl::Duration duration) {
  if (duration > absl::Hours(24 * 365)) return kNever;
  return time + absl::ToChronoNanoseconds(std::max(duration, absl::ZeroDuration()));
}

absl::Duration Between(Clock::time_point from, Clock::time_point to) {
  return absl::FromChrono(to - from);
}

std::string Varint(uint64_t number) {
  std::string bytes(10, '\0');
  auto* begin = reinterpret_cast<uint8_t*>(bytes.data());
  bytes.resize(static_cast<size_t>(
      google::protobuf::io::CodedOutputStream::WriteVarint64ToArray(number, begin) - begin));
  return bytes;
}

std::string LengthField(int field, size_t length) {
  constexpr int kLengthDelimited = 2;
  return Varint(static_cast<uint64_t>(field << 3 | kLengthDelimited)) + Varint(length);
}

// What goes before a batch's own bytes in the message that has it.
std::string HeadOf(const SealedBatch& batch, int64_t sequence) {
  v1::WriteStreamBatch numbered;
  numbered.set_sequence(sequence);
  std::string head = numbered.SerializeAsString();
  head += LengthField(batch.kind == SealedBatch::Kind::kColumns
                          ? v1::WriteStreamBatch::kColumnsFieldNumber
                          : v1::WriteStreamBatch::kLineProtocolFieldNumber,
                      batch.bytes.size());
  return LengthField(v1::WriteStreamRequest::kBatchFieldNumber, head.size() + batch.bytes.size()) +
         head;
}

v1::Precision ToProto(Precision precision) {
  switch (precision) {
    case Precision::kMicrosecond:
      return v1::PRECISION_MICROSECOND;
    case Precision::kMillisecond:
      return v1::PRECISION_MILLISECOND;
    case Precision::kSecond:
      return v1::PRECISION_SECOND;
    case Precision::kAuto:
      return v1::PRECISION_AUTO;
    case Precision::kNanosecond:
      break;
  }
  return v1::PRECISION_NANOSECOND;
}

std::string ReasonName(v1::RejectionReason reason) {
  constexpr std::string_view kPrefix = "REJECTION_REASON_";
  std::string name = v1::RejectionReason_Name(reason);
  if (name.starts_with(kPrefix)) name.erase(0, kPrefix.size());
  return name;
}

std::string ReasonNameOf(const absl::Status& status) {
  std::string reason = ReasonOf(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

// Whether it would be the same the next time.
bool IsForGood(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kUnimplemented:
      return true;
    default:
      return false;
  }
}

absl::Status FromProto(const v1::BatchError& error) {
  return FromGrpc(grpc::Status(static_cast<grpc::StatusCode>(error.code()), error.message(),
                               error.SerializeAsString()));
}

// What a point takes at most, as the first of its table and series in a batch of its own.
size_t MostBytesOf(const Series::Names& series, std::span<const FieldView> fields) {
  constexpr size_t kOverhead = 64;
  size_t bytes = kOverhead + series.table.size();
  for (const auto& [key, value] : series.tags) bytes += kOverhead + key.size() + value.size();
  for (const FieldView& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value);
    bytes += kOverhead + field.key.size() + (text == nullptr ? 0 : text->size());
  }
  return kBatchBytes + kBuildingFactor * bytes;
}

}  // namespace

// A point goes from what is being built to the queue, a batch of which has not been sent on the
// stream there is; on to what has been sent; and when its fate is known to what is to be told.
// Whatever ends a stream puts what was sent back to the front of the queue, so that order stays.
//
// One thread, the runner, has the connection and the callbacks. Whoever adds only builds batches;
// gRPC's threads only leave events. All share one lock, which is held neither in a callback nor in
// a call to gRPC.
class Writer::Core final : private StreamCall::Listener {
 public:
  Core(const std::string& address, WriterOptions options);
  ~Core() override;

  absl::Status Add(const Series& series, int64_t time_ns, std::span<const FieldView> fields,
                   uint64_t cookie);
  absl::Status AddLines(std::string_view lines, uint64_t cookie);
  absl::Status Flush(absl::Duration timeout);
  WriterReport Close(absl::Duration timeout);
  WriterReport report() const;
  absl::StatusOr<std::optional<int64_t>> ResumeFrom(absl::Duration timeout);
  Precision precision() const { return options_.precision; }

 private:
  struct Batch {
    int64_t id = 0;
    SealedBatch sealed;
    size_t held_bytes = 0;
    Clock::time_point begin;
    std::optional<int64_t> sequence;
    int attempts = 0;
    // Its fate is known, though an acknowledgement may still come.
    bool is_decided = false;
  };
  using BatchPtr = std::shared_ptr<Batch>;

  // What has become of a batch.
  struct Fate {
    enum class Kind { kJudged, kRefused, kDropped, kUnknown };
    Kind kind;
    BatchPtr batch;
    v1::WriteResponse response = {};
    int64_t written = 0;
    absl::Status status = absl::OkStatus();
    DropReason drop_reason = DropReason::kClosed;
    Clock::time_point time = Clock::now();
  };

  enum class Signal { kSent, kReceivedAll };
  using Event = std::variant<v1::WriteStreamResponse, Signal, absl::Status>;

  // What is known of the stream under way.
  struct Stream {
    std::shared_ptr<StreamCall> call;
    std::string token;
    Clock::time_point last_progress;
    bool is_open = false;
    bool is_sending = true;
    bool is_draining = false;
    bool is_closing = false;
    bool has_received_all = false;
    bool is_cancelled = false;
    // Why it was cancelled.
    absl::Status given_up;
    size_t window_bytes = 0;
    size_t window_batches = 0;
    int64_t next_sequence = 0;
    std::deque<BatchPtr> sent;
    size_t sent_bytes = 0;
  };

  void OnMessage(v1::WriteStreamResponse message) override { Leave(std::move(message)); }
  void OnSent() override { Leave(Signal::kSent); }
  void OnReceivedAll() override { Leave(Signal::kReceivedAll); }
  void OnEnd(absl::Status status) override { Leave(std::move(status)); }
  void Leave(Event event);

  // ---- For whoever adds. All that follows is under the lock.
  bool IsRunner() const { return std::this_thread::get_id() == runner_.get_id(); }
  absl::Status CheckOpen() const;
  absl::Status MakeRoom(size_t bytes, std::unique_lock<std::mutex>& lock);
  bool DropOldest();
  template <typename Builder>
  void CountAdded(const Builder& builder, int64_t points, Clock::time_point now);
  void SealBuilding();
  void Wake();

  // ---- For the runner. Those that take the lock as an argument let go of it now and then.
  void Run();
  void Work(std::unique_lock<std::mutex>& lock);
  bool IsOver() const { return is_closed_ && undecided_.empty() && fates_.empty() && !stream_; }
  Clock::time_point NextDeadline() const;
  void TakeEvents(std::unique_lock<std::mutex>& lock);
  void TakeOpened(const v1::WriteStreamOpened& opened);
  void TakeAck(v1::WriteStreamAck& ack);
  void EndStream(const absl::Status& status);
  void Fail(const absl::Status& status);
  void GiveUpWhatIsLate(Clock::time_point now);
  void GiveUpAll(DropReason reason, const absl::Status& status);
  void GiveUp(const BatchPtr& batch, DropReason reason, const absl::Status& status);
  void Decide(Fate fate);
  void Connect(std::unique_lock<std::mutex>& lock);
  void Send(std::unique_lock<std::mutex>& lock);
  void EndIfDone(std::unique_lock<std::mutex>& lock);
  void TellFates(std::unique_lock<std::mutex>& lock);
  void Tell(const Fate& fate) const;
  static std::map<std::string, int64_t> RejectionsOf(const Fate& fate);
  void TellRejections(const Fate& fate) const;
  void TellEvent(WriterEvent::Kind kind, absl::Status status = absl::OkStatus(),
                 absl::Duration retry_in = absl::ZeroDuration());
  void Cancel(std::unique_lock<std::mutex>& lock, const absl::Status& why);

  const WriterOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  CurrentToken token_;

  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable room_;
  std::condition_variable told_;
  bool has_work_ = false;
  std::deque<Event> events_;

  // At most one of the two has something.
  BatchBuilder columns_;
  LinesBuilder lines_;
  Clock::time_point building_begin_;
  size_t building_bytes_ = 0;
  size_t max_batch_bytes_;

  std::deque<BatchPtr> queue_;
  std::optional<Stream> stream_;
  std::deque<Fate> fates_;
  std::deque<WriterEvent> notices_;
  // Those of which something is still to be told.
  std::set<int64_t> undecided_;
  int64_t next_id_ = 0;

  WriterReport report_;
  absl::Status fatal_;
  bool is_closed_ = false;
  Clock::time_point close_at_ = kNever;

  int failures_ = 0;
  int64_t streams_ = 0;
  Clock::time_point retry_at_;
  std::minstd_rand random_{std::random_device{}()};
  std::optional<std::string> refused_token_;
  bool is_stream_wanted_ = false;
  bool is_resume_known_ = false;
  std::optional<int64_t> resume_;
  // With a `writer_id`, once it is known.
  std::optional<int64_t> next_sequence_;

  std::thread runner_;
};

Writer::Core::Core(const std::string& address, WriterOptions options)
    : options_([&] {
        options.batch_points = std::clamp<size_t>(options.batch_points, 1, kMaxBatchPoints);
        return std::move(options);
      }()),
      channel_(MakeChannel(address, options_.tls, Retries::kNone)),
      token_(options_.token, options_.token_source),
      max_batch_bytes_(std::min(options_.batch_bytes, options_.max_buffer_bytes / 10)) {
  std::lock_guard lock(mutex_);
  runner_ = std::thread([this] { Run(); });
}

Writer::Core::~Core() {
  Close(absl::Seconds(5));
  runner_.join();
}

void Writer::Core::Leave(Event event) {
  std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
  Wake();
}

void Writer::Core::Wake() {
  has_work_ = true;
  work_.notify_one();
}

// ---- Adding

absl::Status Writer::Core::CheckOpen() const {
  if (!fatal_.ok()) return fatal_;
  return is_closed_ ? absl::FailedPreconditionError("the writer is closed") : absl::OkStatus();
}

absl::Status Writer::Core::MakeRoom(size_t bytes, std::unique_lock<std::mutex>& lock) {
  const auto has_room = [&] {
    return report_.buffered_bytes == 0 ||
           report_.buffered_bytes + bytes <= options_.max_buffer_bytes;
  };
  if (has_room()) return CheckOpen();
  const absl::Status full =
      absl::ResourceExhaustedError(fmt::format("no room: {} bytes wait for the server, and {} may",
                                               report_.buffered_bytes, options_.max_buffer_bytes));
  switch (options_.when_full) {
    case WhenFull::kReject:
      return full;
    case WhenFull::kDropOldest:
      while (!has_room() && DropOldest()) {
      }
      return has_room() ? CheckOpen() : full;
    case WhenFull::kBlock:
      break;
  }
  if (IsRunner()) {
    return absl::FailedPreconditionError("no room, which a callback cannot wait for");
  }
  // What is being built would wait for more.
  SealBuilding();
  const auto deadline = After(Clock::now(), options_.block_timeout);
  const auto may_go_on = [&] { return has_room() || !CheckOpen().ok(); };
  if (deadline == kNever) {
    room_.wait(lock, may_go_on);
  } else if (!room_.wait_until(lock, deadline, may_go_on)) {
    return full;
  }
  return CheckOpen();
}

// False where all that there is has been sent.
bool Writer::Core::DropOldest() {
  const auto oldest = std::find_if(queue_.begin(), queue_.end(),
                                   [](const BatchPtr& batch) { return batch->attempts == 0; });
  if (oldest == queue_.end()) {
    if (building_bytes_ == 0) return false;
    SealBuilding();
    return DropOldest();
  }
  const BatchPtr batch = *oldest;
  queue_.erase(oldest);
  // Only its cookies are still needed.
  std::string().swap(batch->sealed.bytes);
  const size_t left = kBatchBytes + batch->sealed.held_bytes();
  report_.buffered_bytes -= batch->held_bytes - left;
  batch->held_bytes = left;
  GiveUp(batch, DropReason::kFull, absl::ResourceExhaustedError("there was no room"));
  return true;
}

template <typename Builder>
void Writer::Core::CountAdded(const Builder& builder, int64_t points, Clock::time_point now) {
  report_.added += points;
  report_.pending += points;
  if (building_bytes_ == 0) {
    building_begin_ = now;
    // The runner is to know when it becomes too old.
    Wake();
  }
  const size_t bytes =
      kBatchBytes + kBuildingFactor * (builder.bytes() + builder.point_count() * sizeof(uint64_t));
  report_.buffered_bytes += bytes - building_bytes_;
  building_bytes_ = bytes;
  const bool is_full =
      builder.point_count() >= options_.batch_points || builder.bytes() >= max_batch_bytes_;
  if (is_full) SealBuilding();
}

absl::Status Writer::Core::Add(const Series& series, int64_t time_ns,
                               std::span<const FieldView> fields, uint64_t cookie) {
  std::unique_lock lock(mutex_);
  const absl::Status room = MakeRoom(MostBytesOf(*series.names_, fields), lock);
  if (!room.ok()) return room;
  if (!lines_.empty()) SealBuilding();
  const absl::Status added = columns_.Add(series, time_ns, fields, cookie);
  if (!added.ok()) return added;
  CountAdded(columns_, 1, Clock::now());
  return absl::OkStatus();
}

absl::Status Writer::Core::AddLines(std::string_view lines, uint64_t cookie) {
  std::unique_lock lock(mutex_);
  const absl::Status room = MakeRoom(kBatchBytes + kBuildingFactor * (lines.size() + 64), lock);
  if (!room.ok()) return room;
  if (!columns_.empty()) SealBuilding();
  const size_t before = lines_.point_count();
  const absl::Status added = lines_.Add(lines, cookie);
  if (!added.ok()) return added;
  CountAdded(lines_, static_cast<int64_t>(lines_.point_count() - before), Clock::now());
  return absl::OkStatus();
}

void Writer::Core::SealBuilding() {
  if (building_bytes_ == 0) return;
  auto batch = std::make_shared<Batch>();
  batch->id = next_id_++;
  batch->begin = building_begin_;
  batch->sealed = lines_.empty() ? columns_.Seal() : lines_.Seal();
  batch->held_bytes = kBatchBytes + batch->sealed.held_bytes();
  report_.buffered_bytes += batch->held_bytes - std::exchange(building_bytes_, 0);
  undecided_.insert(batch->id);
  queue_.push_back(std::move(batch));
  Wake();
}

absl::Status Writer::Core::Flush(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  if (IsRunner()) return absl::FailedPreconditionError("a callback cannot wait for itself");
  SealBuilding();
  const int64_t end = next_id_;
  const auto is_told = [&] { return undecided_.empty() || *undecided_.begin() >= end; };
  const auto deadline = After(Clock::now(), timeout);
  if (deadline == kNever) {
    told_.wait(lock, is_told);
  } else if (!told_.wait_until(lock, deadline, is_told)) {
    return absl::DeadlineExceededError("not all points have been acknowledged yet");
  }
  return fatal_;
}

WriterReport Writer::Core::Close(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  if (IsRunner()) return report_;
  SealBuilding();
  is_closed_ = true;
  close_at_ = std::min(close_at_, After(Clock::now(), timeout));
  Wake();
  room_.notify_all();
  told_.notify_all();
  told_.wait(lock, [this] { return IsOver(); });
  return report_;
}

WriterReport Writer::Core::report() const {
  std::lock_guard lock(mutex_);
  return report_;
}

absl::StatusOr<std::optional<int64_t>> Writer::Core::ResumeFrom(absl::Duration timeout) {
  std::unique_lock lock(mutex_);
  if (options_.writer_id.empty()) return absl::FailedPreconditionError("there is no writer_id");
  if (IsRunner()) return absl::FailedPreconditionError("a callback cannot wait for itself");
  is_stream_wanted_ = true;
  Wake();
  const auto is_known = [this] { return is_resume_known_ || !CheckOpen().ok(); };
  const auto deadline = After(Clock::now(), timeout);
  if (deadline == kNever) {
    told_.wait(lock, is_known);
  } else if (!told_.wait_until(lock, deadline, is_known)) {
    return report_.last_error.ok() ? absl::DeadlineExceededError("the server has not answered yet")
                                   : report_.last_error;
  }
  if (is_resume_known_) return resume_;
  return CheckOpen();
}

// ---- The runner

void Writer::Core::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    Work(lock);
    if (IsOver()) break;
    const Clock::time_point deadline = NextDeadline();
    const auto has_work = [this] { return has_work_; };
    if (deadline == kNever) {
      work_.wait(lock, has_work);
    } else {
      work_.wait_until(lock, deadline, has_work);
    }
  }
  told_.notify_all();
}

void Writer::Core::Work(std::unique_lock<std::mutex>& lock) {
  has_work_ = false;
  TakeEvents(lock);
  GiveUpWhatIsLate(Clock::now());
  TellFates(lock);
  Connect(lock);
  Send(lock);
  EndIfDone(lock);
}

Clock::time_point Writer::Core::NextDeadline() const {
  Clock::time_point deadline = undecided_.empty() ? kNever : close_at_;
  if (building_bytes_ > 0) {
    deadline = std::min(deadline, After(building_begin_, options_.batch_age));
    deadline = std::min(deadline, After(building_begin_, options_.delivery_timeout));
  }
  if (!queue_.empty()) {
    deadline = std::min(deadline, After(queue_.front()->begin, options_.delivery_timeout));
  }
  if (!stream_) {
    if (!queue_.empty() || is_stream_wanted_) deadline = std::min(deadline, retry_at_);
    return deadline;
  }
  if (stream_->is_cancelled) return deadline;
  if (stream_->is_closing) return std::min(deadline, stream_->last_progress + kEndTime);
  if (!stream_->is_open || !stream_->sent.empty()) {
    deadline = std::min(deadline, After(stream_->last_progress, options_.ack_timeout));
  }
  for (const BatchPtr& batch : stream_->sent) {
    if (batch->is_decided) continue;
    return std::min(deadline, After(batch->begin, options_.delivery_timeout));
  }
  return deadline;
}

void Writer::Core::TakeEvents(std::unique_lock<std::mutex>& lock) {
  while (!events_.empty()) {
    Event event = std::move(events_.front());
    events_.pop_front();
    if (auto* message = std::get_if<v1::WriteStreamResponse>(&event)) {
      stream_->last_progress = Clock::now();
      if (message->has_opened()) TakeOpened(message->opened());
      for (v1::WriteStreamAck& ack : *message->mutable_acks()->mutable_acks()) TakeAck(ack);
      if (message->has_drain()) {
        stream_->is_draining = true;
        TellEvent(WriterEvent::Kind::kDraining);
      }
    } else if (auto* status = std::get_if<absl::Status>(&event)) {
      EndStream(*status);
    } else if (std::get<Signal>(event) == Signal::kSent) {
      stream_->is_sending = false;
    } else {
      stream_->has_received_all = true;
      const std::shared_ptr<StreamCall> call = stream_->call;
      lock.unlock();
      call->Release();
      lock.lock();
    }
  }
}

void Writer::Core::TakeOpened(const v1::WriteStreamOpened& opened) {
  stream_->is_open = true;
  stream_->window_bytes = static_cast<size_t>(std::max<int64_t>(1, opened.window().max_bytes()));
  stream_->window_batches = static_cast<size_t>(std::max(1, opened.window().max_batches()));
  if (opened.max_batch_bytes() > 0) {
    // What is being built is known to a few bytes for each column and text.
    max_batch_bytes_ =
        std::min(max_batch_bytes_, static_cast<size_t>(opened.max_batch_bytes()) / 2);
  }
  if (!options_.writer_id.empty()) {
    const bool has_last = opened.has_last_written_sequence();
    if (!is_resume_known_ && has_last) resume_ = opened.last_written_sequence();
    if (!next_sequence_) next_sequence_ = has_last ? opened.last_written_sequence() + 1 : 0;
    is_resume_known_ = true;
    stream_->next_sequence = *next_sequence_;
    if (!queue_.empty() && queue_.front()->sequence) {
      stream_->next_sequence = *queue_.front()->sequence;
    }
  }
  is_stream_wanted_ = false;
  TellEvent(WriterEvent::Kind::kConnected);
  told_.notify_all();
}

void Writer::Core::TakeAck(v1::WriteStreamAck& ack) {
  if (stream_->sent.empty() || *stream_->sent.front()->sequence != ack.sequence()) return;
  failures_ = 0;
  const BatchPtr batch = stream_->sent.front();
  stream_->sent.pop_front();
  stream_->sent_bytes -= batch->sealed.bytes.size();
  if (batch->is_decided) return;
  const int64_t points = static_cast<int64_t>(batch->sealed.point_count);
  if (ack.has_error()) {
    return Decide({.kind = Fate::Kind::kRefused, .batch = batch, .status = FromProto(ack.error())});
  }
  const int64_t rejected =
      std::clamp<int64_t>(ack.written().rejected_points(), 0, ack.has_written() ? points : 0);
  Fate fate{.kind = Fate::Kind::kJudged, .batch = batch, .written = points - rejected};
  fate.response = std::move(*ack.mutable_written());
  Decide(std::move(fate));
}

void Writer::Core::EndStream(const absl::Status& ended) {
  Stream stream = *std::exchange(stream_, std::nullopt);
  const absl::Status status = stream.given_up.ok() ? ended : stream.given_up;
  // A message that is over what gRPC takes there would end the next stream as well.
  const bool is_too_large = absl::IsResourceExhausted(status) && !IsFromServer(status);
  for (auto it = stream.sent.rbegin(); it != stream.sent.rend(); ++it) {
    if ((*it)->is_decided) continue;
    if (is_too_large && (*it)->sealed.bytes.size() > 2 * max_batch_bytes_) {
      Decide({.kind = Fate::Kind::kRefused, .batch = *it, .status = status});
    } else {
      queue_.push_front(*it);
    }
  }
  // As it was asked for.
  if (status.ok() && (stream.is_closing || stream.is_draining)) return;
  if (is_closed_ && undecided_.empty()) return;
  report_.last_error = status;
  const bool may_renew = absl::IsUnauthenticated(status) && options_.token_source;
  if (may_renew) {
    refused_token_ = stream.token;
  } else if (IsForGood(status)) {
    return Fail(status);
  }
  const absl::Duration most =
      std::min(options_.max_backoff, options_.min_backoff * (1 << std::min(failures_, 20)));
  ++failures_;
  std::uniform_real_distribution<double> jitter(0, 1);
  const absl::Duration delay = std::max(most * jitter(random_), RetryDelayOf(status));
  retry_at_ = After(Clock::now(), delay);
  TellEvent(WriterEvent::Kind::kDisconnected, status, delay);
}

void Writer::Core::Fail(const absl::Status& status) {
  fatal_ = status;
  report_.last_error = status;
  is_stream_wanted_ = false;
  TellEvent(WriterEvent::Kind::kFatal, status);
  GiveUpAll(DropReason::kFatal, status);
  room_.notify_all();
  told_.notify_all();
}

void Writer::Core::GiveUpWhatIsLate(Clock::time_point now) {
  if (building_bytes_ > 0 && now >= After(building_begin_, options_.batch_age)) SealBuilding();
  if (now >= close_at_) {
    return GiveUpAll(DropReason::kClosed, absl::CancelledError("the writer was closed"));
  }
  const auto is_late = [&](Clock::time_point begin) {
    return now >= After(begin, options_.delivery_timeout);
  };
  const absl::Status late = absl::DeadlineExceededError("delivery_timeout has passed");
  if (stream_) {
    for (const BatchPtr& batch : stream_->sent) {
      if (!batch->is_decided && is_late(batch->begin)) GiveUp(batch, DropReason::kTimeout, late);
    }
  }
  while (!queue_.empty() && is_late(queue_.front()->begin)) {
    GiveUp(queue_.front(), DropReason::kTimeout, late);
    queue_.pop_front();
  }
  if (building_bytes_ > 0 && is_late(building_begin_)) {
    SealBuilding();
    GiveUp(queue_.back(), DropReason::kTimeout, late);
    queue_.pop_back();
  }
}

void Writer::Core::GiveUpAll(DropReason reason, const absl::Status& status) {
  SealBuilding();
  if (stream_) {
    for (const BatchPtr& batch : stream_->sent) {
      if (!batch->is_decided) GiveUp(batch, reason, status);
    }
  }
  for (const BatchPtr& batch : queue_) GiveUp(batch, reason, status);
  queue_.clear();
}

void Writer::Core::GiveUp(const BatchPtr& batch, DropReason reason, const absl::Status& status) {
  Decide({.kind = batch->attempts > 0 ? Fate::Kind::kUnknown : Fate::Kind::kDropped,
          .batch = batch,
          .status = status,
          .drop_reason = reason});
}

// The sums say it at once, the callbacks soon.
void Writer::Core::Decide(Fate fate) {
  fate.batch->is_decided = true;
  const int64_t points = static_cast<int64_t>(fate.batch->sealed.point_count);
  report_.pending -= points;
  switch (fate.kind) {
    case Fate::Kind::kJudged:
      report_.written += fate.written;
      report_.rejected += points - fate.written;
      break;
    case Fate::Kind::kRefused:
      report_.rejected += points;
      break;
    case Fate::Kind::kDropped:
      report_.dropped += points;
      break;
    case Fate::Kind::kUnknown:
      report_.unknown += points;
      break;
  }
  fates_.push_back(std::move(fate));
  Wake();
}

void Writer::Core::Connect(std::unique_lock<std::mutex>& lock) {
  const bool is_wanted = !queue_.empty() || is_stream_wanted_;
  if (stream_ || !is_wanted || !fatal_.ok() || Clock::now() < retry_at_) return;
  v1::WriteStreamRequest request;
  v1::WriteStreamOpen& open = *request.mutable_open();
  open.set_database(options_.database);
  open.set_precision(ToProto(options_.precision));
  open.set_no_sync(options_.no_sync);
  open.set_writer_id(options_.writer_id);
  const bool is_resent = !queue_.empty() && queue_.front()->sequence;
  if (next_sequence_) {
    open.set_first_sequence(is_resent ? *queue_.front()->sequence : *next_sequence_);
  }
  stream_.emplace().last_progress = Clock::now();
  if (streams_++ > 0) ++report_.reconnects;
  // The source may take as long as it likes: nobody but the runner waits for it.
  lock.unlock();
  absl::StatusOr<bool> is_renewed = true;
  if (refused_token_) is_renewed = token_.Renew(*refused_token_);
  const absl::StatusOr<std::string> token = is_renewed.ok() ? token_.Get() : is_renewed.status();
  std::shared_ptr<StreamCall> call;
  if (token.ok() && *is_renewed) call = StreamCall::Start(channel_, *token, request, this);
  lock.lock();
  if (!token.ok()) {
    return EndStream(absl::UnavailableError(
        fmt::format("the token's source says: {}", std::string(token.status().message()))));
  }
  if (!*is_renewed) {
    stream_.reset();
    return Fail(report_.last_error);
  }
  refused_token_.reset();
  stream_->token = *token;
  stream_->call = std::move(call);
}

void Writer::Core::Send(std::unique_lock<std::mutex>& lock) {
  if (!stream_ || !stream_->is_open || stream_->is_sending || stream_->is_draining ||
      stream_->has_received_all || stream_->is_closing || stream_->is_cancelled || queue_.empty()) {
    return;
  }
  const BatchPtr batch = queue_.front();
  const bool fits = stream_->sent.size() < stream_->window_batches &&
                    stream_->sent_bytes + batch->sealed.bytes.size() <= stream_->window_bytes;
  if (!fits && !stream_->sent.empty()) return;
  queue_.pop_front();
  if (stream_->sent.empty()) stream_->last_progress = Clock::now();
  batch->sequence = stream_->next_sequence++;
  if (next_sequence_) next_sequence_ = std::max(*next_sequence_, stream_->next_sequence);
  if (batch->attempts++ > 0) ++report_.resent_batches;
  stream_->sent.push_back(batch);
  stream_->sent_bytes += batch->sealed.bytes.size();
  stream_->is_sending = true;
  const std::shared_ptr<StreamCall> call = stream_->call;
  lock.unlock();
  call->Send(HeadOf(batch->sealed, *batch->sequence), batch->sealed.bytes, batch);
  lock.lock();
}

// Ends a stream that is to end, or does not answer.
void Writer::Core::EndIfDone(std::unique_lock<std::mutex>& lock) {
  if (!stream_ || stream_->is_cancelled || stream_->has_received_all) return;
  const Clock::time_point now = Clock::now();
  if (!fatal_.ok() || now >= close_at_) return Cancel(lock, absl::OkStatus());
  if (stream_->is_closing) {
    if (now >= stream_->last_progress + kEndTime) Cancel(lock, absl::OkStatus());
    return;
  }
  const bool waits = !stream_->is_open || !stream_->sent.empty();
  if (waits && now >= After(stream_->last_progress, options_.ack_timeout)) {
    return Cancel(lock, absl::UnavailableError("the server has not answered for ack_timeout"));
  }
  const bool is_done = stream_->is_draining || (is_closed_ && queue_.empty());
  if (!is_done || waits || stream_->is_sending) {
    if (is_closed_ && undecided_.empty() && !stream_->is_open) Cancel(lock, absl::OkStatus());
    return;
  }
  stream_->is_closing = true;
  stream_->last_progress = now;
  const std::shared_ptr<StreamCall> call = stream_->call;
  lock.unlock();
  call->CloseSending();
  lock.lock();
}

void Writer::Core::Cancel(std::unique_lock<std::mutex>& lock, const absl::Status& why) {
  stream_->is_cancelled = true;
  stream_->given_up = why;
  const std::shared_ptr<StreamCall> call = stream_->call;
  lock.unlock();
  call->Cancel();
  lock.lock();
}

// ---- Telling

void Writer::Core::TellEvent(WriterEvent::Kind kind, absl::Status status, absl::Duration retry_in) {
  if (!options_.on_event) return;
  notices_.push_back({.kind = kind, .status = std::move(status), .retry_in = retry_in});
  Wake();
}

void Writer::Core::TellFates(std::unique_lock<std::mutex>& lock) {
  while (!notices_.empty()) {
    const WriterEvent event = std::move(notices_.front());
    notices_.pop_front();
    lock.unlock();
    options_.on_event(event);
    lock.lock();
  }
  while (!fates_.empty()) {
    const Fate& fate = fates_.front();
    // It stays where it is, whatever is added behind it.
    lock.unlock();
    Tell(fate);
    lock.lock();
    report_.buffered_bytes -= fate.batch->held_bytes;
    undecided_.erase(fate.batch->id);
    fates_.pop_front();
    room_.notify_all();
    told_.notify_all();
  }
}

void Writer::Core::Tell(const Fate& fate) const {
  const SealedBatch& batch = fate.batch->sealed;
  switch (fate.kind) {
    case Fate::Kind::kDropped:
      if (options_.on_dropped)
        options_.on_dropped(fate.drop_reason, fate.status, batch.AllCookies());
      return;
    case Fate::Kind::kUnknown:
      if (options_.on_unknown) options_.on_unknown(batch.AllCookies());
      return;
    case Fate::Kind::kRefused:
    case Fate::Kind::kJudged:
      break;
  }
  TellRejections(fate);
  if (!options_.on_written) return;
  options_.on_written({.sequence = *fate.batch->sequence,
                       .written_points = fate.written,
                       .rejected_points = static_cast<int64_t>(batch.point_count) - fate.written,
                       .rejections = RejectionsOf(fate),
                       .bytes = batch.bytes.size(),
                       .latency = Between(fate.batch->begin, fate.time),
                       .attempts = fate.batch->attempts});
}

std::map<std::string, int64_t> Writer::Core::RejectionsOf(const Fate& fate) {
  std::map<std::string, int64_t> rejections;
  const int64_t points = static_cast<int64_t>(fate.batch->sealed.point_count);
  if (fate.kind == Fate::Kind::kRefused) {
    rejections[ReasonNameOf(fate.status)] = points;
    return rejections;
  }
  int64_t counted = 0;
  for (const v1::RejectionCount& cause : fate.response.rejection_counts()) {
    rejections[ReasonName(cause.reason())] += cause.count();
    counted += cause.count();
  }
  const int64_t more = points - fate.written - counted;
  if (more > 0) rejections["UNSPECIFIED"] += more;
  return rejections;
}

void Writer::Core::TellRejections(const Fate& fate) const {
  if (!options_.on_rejected) return;
  const SealedBatch& batch = fate.batch->sealed;
  if (fate.kind == Fate::Kind::kRefused) {
    const std::string reason = ReasonNameOf(fate.status);
    const std::string message(fate.status.message());
    for (uint64_t cookie : batch.AllCookies()) {
      options_.on_rejected({.cookie = cookie, .reason = reason, .message = message});
    }
    return;
  }
  const v1::WriteResponse& response = fate.response;
  const std::string common = response.rejection_counts_size() == 1
                                 ? ReasonName(response.rejection_counts(0).reason())
                                 : "";
  int64_t left = static_cast<int64_t>(batch.point_count) - fate.written;
  size_t index = 0;
  int error = 0;
  for (uint32_t delta : response.rejected_index_deltas()) {
    if (left-- == 0) return;
    index += delta;
    RejectedPoint point{.cookie = batch.CookieOf(index), .reason = common};
    std::string reason;
    if (error < response.errors_size() &&
        response.errors(error).index() == static_cast<int64_t>(index)) {
      const v1::PointError& told = response.errors(error++);
      reason = ReasonName(told.reason());
      point.reason = reason;
      point.message = told.message();
      point.table = told.table();
      point.column = told.column();
      point.excerpt = told.excerpt();
      if (told.has_line()) point.line = batch.LineIn(index, told.line().number());
    }
    options_.on_rejected(point);
  }
  for (; left > 0; --left) options_.on_rejected({.reason = common});
}

// ---- The interface

Writer::Writer(const std::string& address, WriterOptions options)
    : core_(std::make_unique<Core>(address, std::move(options))) {}

Writer::~Writer() = default;

absl::StatusOr<Series> Writer::AddSeries(std::string_view table, std::span<const TagView> tags) {
  auto names = std::make_shared<Series::Names>();
  if (table.empty()) return absl::InvalidArgumentError("a table has a name");
  names->table = table;
  for (const TagView& tag : tags) {
    if (tag.key.empty()) return absl::InvalidArgumentError("a tag has an empty key");
    if (!tag.value.empty()) names->tags.emplace_back(tag.key, tag.value);
  }
  std::sort(names->tags.begin(), names->tags.end());
  const auto same =
      std::adjacent_find(names->tags.begin(), names->tags.end(),
                         [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same != names->tags.end()) {
    return absl::InvalidArgumentError(fmt::format("the tag '{}' is there twice", same->first));
  }
  if (names->tags.size() > kMaxTags) {
    return absl::InvalidArgumentError(fmt::format("a point has at most {} tags", kMaxTags));
  }
  return Series(std::move(names));
}

absl::Status Writer::Add(const Series& series, absl::Time time, std::span<const FieldView> fields,
                         uint64_t cookie) {
  const int64_t time_ns = absl::ToUnixNanos(time);
  if (absl::AbsDuration(time - absl::FromUnixNanos(time_ns)) >= absl::Nanoseconds(1)) {
    return absl::InvalidArgumentError("the time does not fit into 64 bits of nanoseconds");
  }
  if (core_->precision() != Precision::kNanosecond) {
    return absl::InvalidArgumentError(
        "a writer with another precision than nanoseconds takes lines");
  }
  return core_->Add(series, time_ns, fields, cookie);
}

absl::Status Writer::AddLines(std::string_view lines, uint64_t cookie) {
  return core_->AddLines(lines, cookie);
}

absl::Status Writer::Flush(absl::Duration timeout) { return core_->Flush(timeout); }

WriterReport Writer::Close(absl::Duration timeout) { return core_->Close(timeout); }

WriterReport Writer::report() const { return core_->report(); }

absl::StatusOr<std::optional<int64_t>> Writer::ResumeFrom(absl::Duration timeout) {
  return core_->ResumeFrom(timeout);
}

}  // namespace sluice::client

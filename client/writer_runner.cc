// Of the Writer what its own thread does: the connection, and what is too late.

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "client/proto.h"
#include "client/writer_core.h"

namespace sluice::client {
namespace {

// How long the server may take to end a stream on which there is nothing more to say.
constexpr auto kEndTime = std::chrono::seconds(1);

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

// Whether it would be the same the next time. Of batches that go in their order, one that is missed
// has been lost on the way.
bool IsForGood(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return ReasonOf(status) != "BATCH_OUT_OF_SEQUENCE";
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

}  // namespace

void Writer::Core::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    Work(lock);
    if (IsOver()) break;
    WaitFor(work_, lock, NextDeadline(), [this] { return has_work_; });
  }
  is_finished_ = true;
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

Writer::Core::Clock::time_point Writer::Core::NextDeadline() const {
  Clock::time_point deadline = undecided_.empty() ? kNever : close_at_;
  if (building_bytes_ > 0) {
    deadline = std::min(deadline, After(building_begin_, options_.batch_age));
    deadline = std::min(deadline, After(building_begin_, options_.delivery_timeout));
  }
  if (!queue_.empty()) {
    deadline = std::min(deadline, After(queue_.front()->begin, options_.delivery_timeout));
  }
  if (!stream_) {
    const bool is_wanted = !queue_.empty() || (is_stream_wanted_ && !is_closed_);
    if (is_wanted && fatal_.ok()) deadline = std::min(deadline, retry_at_);
    return deadline;
  }
  if (stream_->is_cancelled || stream_->has_received_all) return deadline;
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
      for (v1::WriteStreamAck& ack : *message->mutable_acks()->mutable_acks()) {
        if (TakeAck(ack)) continue;
        if (!stream_->is_cancelled) {
          Cancel(lock, absl::UnavailableError("the server has acknowledged a batch without saying "
                                              "what has become of it"));
        }
        break;
      }
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
    max_sent_bytes_ = static_cast<size_t>(opened.max_batch_bytes());
    max_batch_bytes_ = BatchBytesFor(max_sent_bytes_);
  }
  if (!options_.writer_id.empty()) {
    const bool has_last = opened.has_last_written_sequence();
    if (next_sequence_ && has_last && opened.last_written_sequence() >= *next_sequence_) {
      return Fail(absl::AbortedError("another writer has written under this writer_id"));
    }
    if (!is_resume_known_ && has_last) resume_ = opened.last_written_sequence();
    is_resume_known_ = true;
    if (!next_sequence_) {
      next_sequence_ = has_last ? opened.last_written_sequence() + 1 : 0;
      stream_->next_sequence = *next_sequence_;
    }
  }
  is_stream_wanted_ = false;
  TellEvent(WriterEvent::Kind::kConnected);
  told_.notify_all();
}

bool Writer::Core::TakeAck(v1::WriteStreamAck& ack) {
  if (ack.result_case() == v1::WriteStreamAck::RESULT_NOT_SET || stream_->sent.empty() ||
      *stream_->sent.front()->sequence != ack.sequence()) {
    return false;
  }
  failures_ = 0;
  const BatchPtr batch = stream_->sent.front();
  stream_->sent.pop_front();
  stream_->sent_bytes -= batch->sealed.bytes.size();
  if (batch->is_decided) return true;
  const int64_t points = static_cast<int64_t>(batch->sealed.point_count);
  if (ack.has_error()) {
    Decide({.kind = Fate::Kind::kRefused, .batch = batch, .status = FromProto(ack.error())});
    return true;
  }
  // What the server does not say is in is not.
  const int64_t written =
      ack.has_written() ? std::clamp<int64_t>(ack.written().ingested_points(), 0, points) : points;
  Fate fate{.kind = Fate::Kind::kJudged, .batch = batch, .written = written};
  if (ack.has_already_written()) report_.written_before += points;
  fate.response = std::move(*ack.mutable_written());
  Decide(std::move(fate));
  return true;
}

void Writer::Core::EndStream(const absl::Status& ended) {
  Stream stream = *std::exchange(stream_, std::nullopt);
  const absl::Status status = stream.given_up.ok() ? ended : stream.given_up;
  // A message that is over what gRPC takes there would end the next stream as well.
  const bool is_too_large =
      absl::IsResourceExhausted(status) && !IsFromServer(status) && max_sent_bytes_ > 0;
  for (auto it = stream.sent.rbegin(); it != stream.sent.rend(); ++it) {
    if ((*it)->is_decided) continue;
    if (is_too_large && (*it)->sealed.bytes.size() > max_sent_bytes_) {
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

void Writer::Core::Fail(const absl::Status& status, DropReason reason) {
  fatal_ = status;
  // What a stream ended with says more than that time has passed.
  if (reason == DropReason::kFatal || report_.last_error.ok()) report_.last_error = status;
  is_stream_wanted_ = false;
  TellEvent(WriterEvent::Kind::kFatal, status);
  GiveUpAll(reason, status);
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
  // The numbers that the server has would not say any more what is in.
  if (!options_.writer_id.empty()) {
    const bool is_any_late = (stream_ && std::any_of(stream_->sent.begin(), stream_->sent.end(),
                                                     [&](const BatchPtr& b) {
                                                       return !b->is_decided && is_late(b->begin);
                                                     })) ||
                             (!queue_.empty() && is_late(queue_.front()->begin)) ||
                             (building_bytes_ > 0 && is_late(building_begin_));
    if (is_any_late) Fail(late, DropReason::kTimeout);
    return;
  }
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
  const bool is_wanted = !queue_.empty() || (is_stream_wanted_ && !is_closed_);
  if (stream_ || !is_wanted || !fatal_.ok() || Clock::now() < retry_at_) return;
  v1::WriteStreamRequest request;
  v1::WriteStreamOpen& open = *request.mutable_open();
  open.set_database(options_.database);
  open.set_precision(ToProto(options_.precision));
  open.set_no_sync(options_.no_sync);
  open.set_writer_id(options_.writer_id);
  const bool is_resent = !queue_.empty() && queue_.front()->sequence;
  stream_.emplace().last_progress = Clock::now();
  if (next_sequence_) {
    stream_->next_sequence = is_resent ? *queue_.front()->sequence : *next_sequence_;
    open.set_first_sequence(stream_->next_sequence);
  }
  if (streams_++ > 0) ++report_.reconnects;
  // The source may take as long as it likes: nobody but the runner waits for it.
  lock.unlock();
  absl::StatusOr<bool> is_renewed = true;
  if (refused_token_) is_renewed = token_.Renew(*refused_token_);
  const absl::StatusOr<std::string> token = is_renewed.ok() ? token_.Get() : is_renewed.status();
  std::shared_ptr<StreamCall> call;
  if (token.ok() && *is_renewed) call = StreamCall::Start(channel_, *token, request, this);
  lock.lock();
  stream_->last_progress = Clock::now();
  if (absl::IsInvalidArgument(token.status())) {
    stream_.reset();
    return Fail(token.status());
  }
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

// Whether nobody waits for what the stream may still bring.
bool Writer::Core::IsPointless() const {
  return is_closed_ && undecided_.empty() && (!stream_->is_open || !stream_->sent.empty());
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
  if (IsPointless()) return Cancel(lock, absl::OkStatus());
  const bool waits = !stream_->is_open || !stream_->sent.empty();
  // What has come while a callback took its time has not been looked at yet.
  if (waits && events_.empty() && now >= After(stream_->last_progress, options_.ack_timeout)) {
    return Cancel(lock, absl::UnavailableError("the server has not answered for ack_timeout"));
  }
  const bool is_done = stream_->is_draining || (is_closed_ && queue_.empty());
  if (!is_done || waits || stream_->is_sending) return;
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

}  // namespace sluice::client

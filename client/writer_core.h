#ifndef SLUICE_CLIENT_WRITER_CORE_H_
#define SLUICE_CLIENT_WRITER_CORE_H_

#include <chrono>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "client/batch_builder.h"
#include "client/channel.h"
#include "client/stream_call.h"
#include "client/writer.h"
#include "sluice/v1/write.pb.h"

// What a Writer is inside; not part of the library's interface.

namespace sluice::client {

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
  using Clock = std::chrono::steady_clock;
  static constexpr Clock::time_point kNever = Clock::time_point::max();

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

  size_t BatchBytesFor(size_t server_max) const;
  // kNever for what is practically infinite.
  static Clock::time_point After(Clock::time_point time, absl::Duration duration);

  // False where it is not so by then.
  template <typename Condition>
  static bool WaitFor(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                      Clock::time_point deadline, Condition is_so) {
    // The library would convert the last moment there is, and overflow.
    if (deadline != kNever) return changed.wait_until(lock, deadline, is_so);
    changed.wait(lock, is_so);
    return true;
  }

  void OnMessage(v1::WriteStreamResponse message) override { Leave(std::move(message)); }
  void OnSent() override { Leave(Signal::kSent); }
  void OnReceivedAll() override { Leave(Signal::kReceivedAll); }
  void OnEnd(absl::Status status) override { Leave(std::move(status)); }
  void Leave(Event event);

  // ---- For whoever adds. All that follows is under the lock.
  bool IsRunner() const { return std::this_thread::get_id() == runner_.get_id(); }
  absl::Status CheckOpen() const;
  absl::Status MakeRoom(size_t bytes, std::unique_lock<std::mutex>& lock);
  bool HasRoom(size_t bytes) const;
  bool DropOldest();
  template <typename Builder>
  void SealBefore(const Builder& builder, size_t points, size_t bytes);
  template <typename Builder>
  void CountAdded(const Builder& builder, int64_t points);
  void SealBuilding();
  void Wake();

  // ---- For the runner. Those that take the lock as an argument let go of it now and then.
  void Run();
  void Work(std::unique_lock<std::mutex>& lock);
  bool IsOver() const {
    return is_closed_ && undecided_.empty() && fates_.empty() && notices_.empty() && !stream_;
  }
  Clock::time_point NextDeadline() const;
  void TakeEvents(std::unique_lock<std::mutex>& lock);
  void TakeOpened(const v1::WriteStreamOpened& opened);
  // False where it says nothing that could be true.
  bool TakeAck(v1::WriteStreamAck& ack);
  void EndStream(const absl::Status& status);
  // Ends the writer for good.
  void Fail(const absl::Status& status, DropReason reason = DropReason::kFatal);
  void GiveUpWhatIsLate(Clock::time_point now);
  void GiveUpAll(DropReason reason, const absl::Status& status);
  void GiveUp(const BatchPtr& batch, DropReason reason, const absl::Status& status);
  void Decide(Fate fate);
  void Connect(std::unique_lock<std::mutex>& lock);
  void Send(std::unique_lock<std::mutex>& lock);
  bool IsPointless() const;
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
  // What the server takes; 0 before it has told.
  size_t max_sent_bytes_ = 0;

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
  // The runner has called the last callback.
  bool is_finished_ = false;
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

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_WRITER_CORE_H_

#ifndef SLUICE_CLIENT_WRITER_H_
#define SLUICE_CLIENT_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/precision.h"

// Writes many points: gathers them into batches of columns, sends these over one stream, sends
// again what the server may not have got, and tells what became of each point.
//
//   Writer writer("127.0.0.1:8182", {.database = "demo", .token = "sluice_…",
//                                    .on_rejected = [](const RejectedPoint& r) { Log(r.message);
//                                    }});
//   absl::StatusOr<Series> kitchen = writer.AddSeries("home", {{"room", "kitchen"}});
//   while (Measure(&temp)) {
//     absl::Status added = writer.Add(*kitchen, absl::Now(), {{"temp", temp}});
//     if (!added.ok()) …             // no room, after Close, or for what is not a point
//   }
//   WriterReport report = writer.Close(absl::Seconds(30));
//   if (!report.all_written()) …report.rejected, report.dropped, report.unknown…
//
// The promise: of every point for which Add returned OK the writer says exactly once that it is
// written, rejected, dropped or unknown, in the callbacks and, as sums, in WriterReport; after
// Close everything has been said. Written means durable (unless `no_sync`) and visible. A point is
// written once, whatever happened to the connection, and points of the same key in the order in
// which they were added. The writer holds at most `max_buffer_bytes`, or one point that is larger
// by itself.

namespace sluice::client {

// Of any arithmetic type, or text, which has to be UTF-8: the server rejects the point otherwise.
struct FieldValue : std::variant<double, int64_t, uint64_t, bool, std::string_view> {
  FieldValue() = default;
  template <typename Number>
  requires std::is_arithmetic_v<Number> FieldValue(Number number)
      : variant(Widened<Number>(number)) {}
  FieldValue(std::string_view text) : variant(text) {}
  FieldValue(const char* text) : variant(std::string_view(text)) {}
  FieldValue(const std::string& text) : variant(std::string_view(text)) {}

 private:
  template <typename Number>
  using Widened = std::conditional_t<
      std::is_same_v<Number, bool>, bool,
      std::conditional_t<std::is_floating_point_v<Number>, double,
                         std::conditional_t<std::is_signed_v<Number>, int64_t, uint64_t>>>;
};

struct TagView {
  std::string_view key;
  std::string_view value;
};

struct FieldView {
  std::string_view key;
  FieldValue value;
};

// What to do with a point for which there is no room.
enum class WhenFull {
  // Wait for room, at most `block_timeout`; then ResourceExhausted. In a callback, which would wait
  // for itself, FailedPrecondition at once.
  kBlock,
  // ResourceExhausted at once.
  kReject,
  // Drop the oldest batch that has not been sent; it is reported as dropped. For telemetry.
  kDropOldest,
};

// A point that the server rejected. Valid during the callback.
struct RejectedPoint {
  // That Add was given. 0 where the server had no memory to say which points it were.
  uint64_t cookie = 0;
  // The name of the enum value in write.proto without its prefix, such as "TYPE_CONFLICT"; of a
  // batch that was refused as a whole the error's, such as "BODY_TOO_LARGE"; empty for those after
  // the first hundred of a batch where there were several.
  std::string_view reason = "";
  // Empty for all but the first hundred of a batch, as are those below.
  std::string_view message = "";
  std::string_view table = "";
  std::string_view column = "";
  // The point as a line, cut at 200 bytes.
  std::string_view excerpt = "";
  // Of AddLines: the line in its text, counted from 1.
  int64_t line = 0;
};

enum class DropReason {
  // WhenFull::kDropOldest.
  kFull,
  // `delivery_timeout` passed before it could be sent.
  kTimeout,
  // The server refused for good: the token, the database, another writer with this id. The status
  // says which; Add returns it from then on.
  kFatal,
  // Close came to its deadline, or Abandon was called, before it was sent.
  kClosed,
};

struct BatchResult {
  // Of all its points; those that were rejected have been told before. Valid during the callback.
  std::span<const uint64_t> cookies = {};
  // With a `writer_id` its number for good, see ResumeFrom; otherwise that on its stream.
  int64_t sequence = 0;
  int64_t written_points = 0;
  int64_t rejected_points = 0;
  // Those by reason, named as in RejectedPoint; complete.
  std::map<std::string, int64_t> rejections = {};
  // As sent.
  size_t bytes = 0;
  // From the first point's Add to the acknowledgement.
  absl::Duration latency = absl::ZeroDuration();
  // How many times it was sent.
  int attempts = 1;
};

// A change of the connection, for logs and metrics; the writer needs no reaction.
struct WriterEvent {
  enum class Kind { kConnected, kDisconnected, kDraining, kFatal };
  Kind kind;
  // Why, of kDisconnected and kFatal.
  absl::Status status = absl::OkStatus();
  // When it will try again, of kDisconnected.
  absl::Duration retry_in = absl::ZeroDuration();
};

struct WriterOptions {
  std::string database = "";
  std::string token = "";
  // Wins over `token`.
  TokenSource token_source = nullptr;
  // Absent: plaintext.
  std::optional<Tls> tls = std::nullopt;

  // A batch is sent when it has so many points or bytes, or its first point is so old. At most
  // 1,000,000 points, and bytes as the server allows.
  size_t batch_points = 10'000;
  size_t batch_bytes = size_t{1} << 20;
  absl::Duration batch_age = absl::Milliseconds(100);

  // Of all points whose fate has not been told, overhead included. Makes batches smaller than
  // `batch_bytes` where it is less than ten of them.
  size_t max_buffer_bytes = size_t{64} << 20;
  WhenFull when_full = WhenFull::kBlock;
  absl::Duration block_timeout = absl::InfiniteDuration();

  // How long a point may wait for the server. Then it is dropped with kTimeout, or if it has been
  // sent and not acknowledged, unknown. Infinite: until Close. With a `writer_id` that ends the
  // writer: all that is behind it is told likewise, and Add returns DeadlineExceeded from then on.
  absl::Duration delivery_timeout = absl::InfiniteDuration();
  // No acknowledgement for so long, with something under way: the stream is taken for dead, and a
  // new one opened.
  absl::Duration ack_timeout = absl::Seconds(30);
  // Between attempts to have a stream: a random time up to `min_backoff`, which doubles up to
  // `max_backoff`, but at least as long as the server asks for. An acknowledgement sets it back.
  absl::Duration min_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(5);

  // Not to wait for the server's disk.
  bool no_sync = false;
  // Of the timestamps in AddLines. With any but nanoseconds Add is refused.
  Precision precision = Precision::kNanosecond;
  // 1 to 64 bytes of [A-Za-z0-9_-], to resume after a crash of this process: see ResumeFrom. Two
  // writers that run at the same time must not share one: the older becomes fatal. Not with
  // kDropOldest. Where it is set,
  // a batch that is sent again is not judged again: what was rejected of it counts as written.
  std::string writer_id = "";

  // Called on one thread of the writer's, one after the other, without a lock held. They may call
  // Add, AddLines and report, and nothing else. One that takes long holds up all that is told, and
  // in the end Add, for want of room.
  // For each batch that was acknowledged, after what was rejected of it.
  std::function<void(const BatchResult&)> on_written = nullptr;
  std::function<void(const RejectedPoint&)> on_rejected = nullptr;
  // The cookies of the points, those of AddLines once for each of its points.
  std::function<void(DropReason, const absl::Status&, std::span<const uint64_t> cookies)>
      on_dropped = nullptr;
  // Sent, but never answered: may be in the database or not.
  std::function<void(std::span<const uint64_t> cookies)> on_unknown = nullptr;
  std::function<void(const WriterEvent&)> on_event = nullptr;
};

// Sums since the writer was made. added = written + rejected + dropped + unknown + pending, at
// every moment.
struct WriterReport {
  int64_t added = 0;
  int64_t written = 0;
  int64_t rejected = 0;
  int64_t dropped = 0;
  int64_t unknown = 0;
  int64_t pending = 0;
  size_t buffered_bytes = 0;
  // Of `written`, those of batches that the server had already when they were sent again, under a
  // `writer_id`: it does not say again which of them it had rejected.
  int64_t written_before = 0;
  // Streams after the first.
  int64_t reconnects = 0;
  int64_t resent_batches = 0;
  // The last error of a stream; OK where there was none.
  absl::Status last_error = absl::OkStatus();

  // The server has judged every point.
  bool complete() const { return dropped == 0 && unknown == 0 && pending == 0; }
  // And said of every one that it is in.
  bool all_written() const { return written == added && written_before == 0; }
};

// A table and a tag set, resolved once. Cheap to copy; good for any writer.
class Series {
 public:
  struct Names;
  // None: no point can be added to it.
  Series() = default;

 private:
  friend class BatchBuilder;
  friend class Writer;
  explicit Series(std::shared_ptr<const Names> names) : names_(std::move(names)) {}
  std::shared_ptr<const Names> names_;
};

// Safe for use by many threads. Points of one thread are written in the order of its Adds. Not to
// be used in a child after fork().
class Writer {
 public:
  // Does not wait: errors of the connection come as events, fatal ones from Add. `address` is
  // "host:port".
  Writer(const std::string& address, WriterOptions options);
  // As Close(5 s).
  ~Writer();
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // InvalidArgument for an empty name, a tag that is there twice or is called "time", or more than
  // 4,095 tags. A tag with an empty value is no tag.
  absl::StatusOr<Series> AddSeries(std::string_view table, std::span<const TagView> tags);
  absl::StatusOr<Series> AddSeries(std::string_view table, std::initializer_list<TagView> tags) {
    return AddSeries(table, std::span(tags.begin(), tags.size()));
  }

  // Copies everything. Errors, with nothing taken: InvalidArgument (no series, no field or more
  // than 4,096 with the tags, an empty key or one that is there twice, a number that is not finite,
  // a time that does not fit into 64 bits of nanoseconds), ResourceExhausted (no room),
  // FailedPrecondition (closed), and the fatal status.
  absl::Status Add(const Series& series, absl::Time time, std::span<const FieldView> fields,
                   uint64_t cookie = 0);
  absl::Status Add(const Series& series, absl::Time time, std::initializer_list<FieldView> fields,
                   uint64_t cookie = 0) {
    return Add(series, time, std::span(fields.begin(), fields.size()), cookie);
  }
  // Whole lines of line protocol, judged by the server. They stay in one batch, and the cookie
  // stands for each of their points. A line without a timestamp gets one when it arrives, another
  // when it has to be sent again. InvalidArgument where they are not UTF-8, hold no point or more
  // than 1,000,000, or more bytes than the server takes; before there has been a stream nobody
  // knows these, and the server rejects them.
  absl::Status AddLines(std::string_view lines, uint64_t cookie = 0);

  // Sends what there is now and waits until all that was added before is told. OK then, whatever
  // that was: report().all_written() says whether all is in. DeadlineExceeded, with everything
  // still being tried, at the deadline; the fatal status.
  absl::Status Flush(absl::Duration timeout);

  // Takes no more points, flushes, tells as dropped or unknown what is left at the deadline, and
  // returns after the last callback. Twice is once.
  WriterReport Close(absl::Duration timeout);
  // Close without sending anything more.
  WriterReport Abandon() { return Close(absl::ZeroDuration()); }

  WriterReport report() const;

  // With a `writer_id`: the number of the last batch that the server has of it, if any, for a
  // program that reads a file or a log. Batches are numbered one after the other, over restarts of
  // this program too; where it makes them the same way again (AddLines with `batch_bytes` 1, for
  // instance, makes one of each call), it can leave out those that are in. Opens a stream.
  absl::StatusOr<std::optional<int64_t>> ResumeFrom(absl::Duration timeout);

 private:
  class Core;
  const std::unique_ptr<Core> core_;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_WRITER_H_

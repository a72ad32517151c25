// Of the Writer what is told: events, and what has become of each point.

#include <algorithm>
#include <utility>

#include "client/proto.h"
#include "client/writer_core.h"

namespace sluice::client {
namespace {

std::string ReasonNameOf(const absl::Status& status) {
  std::string reason = ReasonOf(status);
  return reason.empty() ? absl::StatusCodeToString(status.code()) : reason;
}

}  // namespace

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
  // What comes meanwhile waits until the connection has been looked after.
  for (size_t left = fates_.size(); left > 0; --left) {
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
      if (options_.on_dropped) {
        options_.on_dropped(fate.drop_reason, fate.status, batch.AllCookies());
      }
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
  const std::vector<uint64_t> of_lines =
      batch.kind == SealedBatch::Kind::kLines ? batch.AllCookies() : std::vector<uint64_t>();
  options_.on_written({.cookies = of_lines.empty() ? batch.cookies : of_lines,
                       .sequence = *fate.batch->sequence,
                       .written_points = fate.written,
                       .rejected_points = static_cast<int64_t>(batch.point_count) - fate.written,
                       .rejections = RejectionsOf(fate),
                       .bytes = batch.bytes.size(),
                       .latency = absl::FromChrono(fate.time - fate.batch->begin),
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
    rejections[NameOf(cause.reason())] += cause.count();
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
  const std::string common =
      response.rejection_counts_size() == 1 ? NameOf(response.rejection_counts(0).reason()) : "";
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
      reason = NameOf(told.reason());
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

}  // namespace sluice::client

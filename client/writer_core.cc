// Of the Writer what is done by whoever adds points.

#include "client/writer_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"

namespace sluice::client {
namespace {

// What the server takes.
constexpr size_t kMaxBatchPoints = 1'000'000;
// What any server is taken to allow before this one has told.
constexpr size_t kSmallBatchBytes = size_t{1} << 20;

// What a batch has besides its bytes and cookies.
constexpr size_t kBatchBytes = 1024;

// What finding a tag or a field and its value again takes at most.
constexpr size_t kMostIndexBytes = 256;

// Arrays grow by doubling, and what is sealed is there twice for a moment.
constexpr size_t kBuildingFactor = 2;

// What a point takes of a batch at most, as the first of its table and series.
size_t MostBytesOf(const Series::Names& series, std::span<const FieldView> fields) {
  constexpr size_t kOverhead = 64;
  size_t bytes = kOverhead + series.table.size();
  for (const auto& [key, value] : series.tags) bytes += kOverhead + key.size() + value.size();
  for (const FieldView& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value);
    bytes += kOverhead + field.key.size() + (text == nullptr ? 0 : text->size());
  }
  return bytes;
}

// What is held for a batch of so much while it is being built.
size_t BuildingBytes(size_t bytes, size_t points, size_t index_bytes) {
  return kBatchBytes + kBuildingFactor * (bytes + points * sizeof(uint64_t)) + index_bytes;
}

bool IsWriterId(std::string_view id) {
  constexpr size_t kMaxLength = 64;
  const auto is_allowed = [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; };
  return id.size() <= kMaxLength && std::all_of(id.begin(), id.end(), is_allowed);
}

}  // namespace

Writer::Core::Clock::time_point Writer::Core::After(Clock::time_point time,
                                                    absl::Duration duration) {
  if (duration > absl::Hours(24 * 365)) return kNever;
  return time + absl::ToChronoNanoseconds(std::max(duration, absl::ZeroDuration()));
}

Writer::Core::Core(const std::string& address, WriterOptions options)
    : options_([&] {
        options.batch_points = std::clamp<size_t>(options.batch_points, 1, kMaxBatchPoints);
        return std::move(options);
      }()),
      channel_(MakeChannel(address, options_.tls, Retries::kNone)),
      token_(options_.token, options_.token_source),
      max_batch_bytes_(BatchBytesFor(2 * kSmallBatchBytes)) {
  std::lock_guard lock(mutex_);
  if (!IsWriterId(options_.writer_id)) {
    Fail(absl::InvalidArgumentError(
        "a writer_id has at most 64 bytes of letters, digits, '_' and '-'"));
  } else if (!options_.writer_id.empty() && options_.when_full == WhenFull::kDropOldest) {
    Fail(absl::InvalidArgumentError(
        "a writer with a writer_id drops nothing: its numbers are to say what is in"));
  }
  runner_ = std::thread([this] { Run(); });
}

// Half of what the server allows: one point may be as large as all before it.
size_t Writer::Core::BatchBytesFor(size_t server_max) const {
  return std::min({options_.batch_bytes, options_.max_buffer_bytes / 10, server_max / 2});
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

absl::Status Writer::Core::CheckOpen() const {
  if (!fatal_.ok()) return fatal_;
  return is_closed_ ? absl::FailedPreconditionError("the writer is closed") : absl::OkStatus();
}

bool Writer::Core::HasRoom(size_t bytes) const {
  return report_.buffered_bytes == 0 || report_.buffered_bytes + bytes <= options_.max_buffer_bytes;
}

absl::Status Writer::Core::MakeRoom(size_t bytes, std::unique_lock<std::mutex>& lock) {
  const auto has_room = [&] { return HasRoom(bytes); };
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
  const auto may_go_on = [&] { return has_room() || !CheckOpen().ok(); };
  const auto deadline = After(Clock::now(), options_.block_timeout);
  return WaitFor(room_, lock, deadline, may_go_on) ? CheckOpen() : full;
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

// What would make a batch larger than is wanted begins the next one.
template <typename Builder>
void Writer::Core::SealBefore(const Builder& builder, size_t points, size_t bytes) {
  const bool goes_in = !builder.empty() &&
                       builder.point_count() + points <= options_.batch_points &&
                       builder.bytes() + bytes <= max_batch_bytes_;
  if (!goes_in) SealBuilding();
}

template <typename Builder>
void Writer::Core::CountAdded(const Builder& builder, int64_t points) {
  report_.added += points;
  report_.pending += points;
  if (building_bytes_ == 0) {
    building_begin_ = Clock::now();
    // The runner is to know when it becomes too old.
    Wake();
  }
  const size_t bytes = BuildingBytes(builder.bytes(), builder.point_count(), builder.index_bytes());
  report_.buffered_bytes += bytes - building_bytes_;
  building_bytes_ = bytes;
  const bool is_full =
      builder.point_count() >= options_.batch_points || builder.bytes() >= max_batch_bytes_;
  if (is_full) SealBuilding();
}

absl::Status Writer::Core::Add(const Series& series, int64_t time_ns,
                               std::span<const FieldView> fields, uint64_t cookie) {
  const size_t bytes = MostBytesOf(*series.names_, fields);
  std::unique_lock lock(mutex_);
  const size_t needed =
      BuildingBytes(bytes + BatchBuilder::kMaxBackfillBytes + columns_.set_bytes(), 1,
                    (series.names_->tags.size() + fields.size()) * kMostIndexBytes);
  const absl::Status open = CheckOpen();
  if (!open.ok()) return open;
  if (!HasRoom(needed)) {
    // Nothing is dropped, and nobody waits, for what is no point.
    absl::Status sound = BatchBuilder::Check(series, fields);
    if (sound.ok()) sound = MakeRoom(needed, lock);
    if (!sound.ok()) return sound;
  }
  SealBefore(columns_, 1, bytes);
  const absl::Status added = columns_.Add(series, time_ns, fields, cookie);
  if (!added.ok()) return added;
  CountAdded(columns_, 1);
  return absl::OkStatus();
}

absl::Status Writer::Core::AddLines(std::string_view lines, uint64_t cookie) {
  {
    std::lock_guard lock(mutex_);
    const absl::Status open = CheckOpen();
    if (!open.ok()) return open;
  }
  const absl::StatusOr<Lines> read = ReadLines(lines);
  if (!read.ok()) return read.status();
  const size_t points = read->point_count;
  const size_t bytes = read->text.size();
  if (points > kMaxBatchPoints) {
    return absl::InvalidArgumentError(
        fmt::format("the lines hold {} points, and a batch at most {}: add them in several calls",
                    points, kMaxBatchPoints));
  }
  const size_t sent_bytes = bytes - (read->is_newline_added ? 1 : 0);
  const auto check_size = [&] {
    if (max_sent_bytes_ == 0 || sent_bytes <= max_sent_bytes_) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("the lines have {} bytes, and the server takes {}: add them in several calls",
                    sent_bytes, max_sent_bytes_));
  };
  std::unique_lock lock(mutex_);
  // The array of what each call gave doubles now and then.
  const size_t needed = BuildingBytes(bytes, points, lines_.index_bytes() + kMostIndexBytes);
  // Nothing is dropped for what is too large; how much that is may become known meanwhile.
  absl::Status fits = check_size();
  if (fits.ok()) fits = HasRoom(needed) ? CheckOpen() : MakeRoom(needed, lock);
  if (fits.ok()) fits = check_size();
  if (!fits.ok()) return fits;
  SealBefore(lines_, points, bytes);
  lines_.Add(*read, cookie);
  CountAdded(lines_, static_cast<int64_t>(points));
  if (read->is_open_ended) SealBuilding();
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
  if (!WaitFor(told_, lock, After(Clock::now(), timeout), is_told)) {
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
  told_.wait(lock, [this] { return is_finished_; });
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
  if (!is_resume_known_) is_stream_wanted_ = true;
  Wake();
  const auto is_known = [this] { return is_resume_known_ || !CheckOpen().ok(); };
  if (!WaitFor(told_, lock, After(Clock::now(), timeout), is_known)) {
    return report_.last_error.ok() ? absl::DeadlineExceededError("the server has not answered yet")
                                   : report_.last_error;
  }
  if (is_resume_known_) return resume_;
  return CheckOpen();
}

}  // namespace sluice::client

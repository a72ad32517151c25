#include "client/cli/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace sluice::client {
namespace {

constexpr std::string_view kGzipMagic = "\x1f\x8b";
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";
// gzip's own header, with a window of 32 KiB.
constexpr int kGzipWindowBits = 15 + 16;

absl::Status Damaged(const char* what) {
  return absl::DataLossError(fmt::format(
      "the {} is damaged or cut short; what was written of it may not be what it was", what));
}

// Bytes as they are stored.
class File {
 public:
  File(int fd, const std::atomic<bool>* stop) : fd_(fd), stop_(stop) {
    struct stat status {};
    if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) return;
    all_bytes_ = status.st_size;
    identity_ = fmt::format("{} {} {} {}.{:09} {}", status.st_dev, status.st_ino, status.st_size,
                            status.st_mtim.tv_sec, status.st_mtim.tv_nsec, lseek(fd_, 0, SEEK_CUR));
  }
  ~File() {
    if (fd_ != STDIN_FILENO) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  // What has been read and not been taken; more is read where that is nothing. Empty at the end.
  absl::StatusOr<std::string_view> Peek(size_t at_least = 1) {
    while (end_ - begin_ < at_least) {
      if (begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= std::exchange(begin_, 0);
      }
      if (stop_ != nullptr && *stop_) return absl::CancelledError("interrupted");
      const ssize_t got = read(fd_, buffer_.data() + end_, buffer_.size() - end_);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return absl::UnavailableError(fmt::format("cannot read: {}", strerror(errno)));
      if (got == 0) break;
      end_ += static_cast<size_t>(got);
    }
    return std::string_view(buffer_.data() + begin_, end_ - begin_);
  }
  bool IsReady(std::chrono::milliseconds time) const {
    pollfd waits{.fd = fd_, .events = POLLIN, .revents = 0};
    return all_bytes_ || begin_ < end_ || poll(&waits, 1, static_cast<int>(time.count())) != 0;
  }
  void Take(size_t bytes) {
    begin_ += bytes;
    taken_bytes_ += static_cast<int64_t>(bytes);
  }
  int64_t taken_bytes() const { return taken_bytes_; }
  std::optional<int64_t> all_bytes() const { return all_bytes_; }
  const std::string& identity() const { return identity_; }

 private:
  const int fd_;
  const std::atomic<bool>* const stop_;
  std::optional<int64_t> all_bytes_;
  std::string identity_;
  std::array<char, 128 << 10> buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
  int64_t taken_bytes_ = 0;
};

class StoredInput : public Input {
 public:
  explicit StoredInput(std::unique_ptr<File> file) : file_(std::move(file)) {}
  bool IsReady(std::chrono::milliseconds time) const override { return file_->IsReady(time); }
  int64_t stored_bytes() const override { return file_->taken_bytes(); }
  std::optional<int64_t> all_stored_bytes() const override { return file_->all_bytes(); }
  const std::string& identity() const override { return file_->identity(); }

  absl::Status Read(size_t max_bytes, std::string& to) override {
    const absl::StatusOr<std::string_view> bytes = file_->Peek();
    if (!bytes.ok()) return bytes.status();
    const size_t count = std::min(max_bytes, bytes->size());
    to.append(bytes->substr(0, count));
    file_->Take(count);
    return absl::OkStatus();
  }

 protected:
  const std::unique_ptr<File> file_;
};

// What decompressors have in common: they turn some bytes into some others.
class CompressedInput : public StoredInput {
 public:
  using StoredInput::StoredInput;

  absl::Status Read(size_t max_bytes, std::string& to) override {
    const size_t before = to.size();
    to.resize(before + max_bytes);
    size_t made = 0;
    absl::Status status;
    while (made == 0 && status.ok()) {
      const absl::StatusOr<std::string_view> bytes = file_->Peek();
      status = bytes.status();
      if (!status.ok()) break;
      if (bytes->empty() && IsBetweenParts()) break;
      size_t used = 0;
      status = Step(*bytes, used, to.data() + before, max_bytes, made);
      file_->Take(used);
      // There is nothing more, and it wants more.
      if (status.ok() && bytes->empty() && made == 0) status = Damaged("input");
    }
    to.resize(before + made);
    return status;
  }

 private:
  virtual bool IsBetweenParts() const = 0;
  // Sets how many bytes of `from` it has used and how many it has made.
  virtual absl::Status Step(std::string_view from, size_t& used, char* to, size_t max_bytes,
                            size_t& made) = 0;
};

class GzipInput : public CompressedInput {
 public:
  explicit GzipInput(std::unique_ptr<File> file) : CompressedInput(std::move(file)) {
    is_ready_ = inflateInit2(&stream_, kGzipWindowBits) == Z_OK;
  }
  ~GzipInput() override { inflateEnd(&stream_); }

 private:
  bool IsBetweenParts() const override { return is_between_; }

  absl::Status Step(std::string_view from, size_t& used, char* to, size_t max_bytes,
                    size_t& made) override {
    if (!is_ready_) return absl::ResourceExhaustedError("out of memory");
    if (std::exchange(is_between_, false)) inflateReset(&stream_);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(from.data()));
    stream_.avail_in = static_cast<uInt>(from.size());
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(max_bytes);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    used = from.size() - stream_.avail_in;
    made = max_bytes - stream_.avail_out;
    is_between_ = code == Z_STREAM_END;
    return code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR ? absl::OkStatus()
                                                                       : Damaged("gzip");
  }

  z_stream stream_{};
  bool is_ready_ = false;
  bool is_between_ = false;
};

class ZstdInput : public CompressedInput {
 public:
  explicit ZstdInput(std::unique_ptr<File> file)
      : CompressedInput(std::move(file)), stream_(ZSTD_createDStream(), &ZSTD_freeDStream) {}

 private:
  bool IsBetweenParts() const override { return is_between_; }

  absl::Status Step(std::string_view from, size_t& used, char* to, size_t max_bytes,
                    size_t& made) override {
    if (stream_ == nullptr) return absl::ResourceExhaustedError("out of memory");
    ZSTD_inBuffer in = {from.data(), from.size(), 0};
    ZSTD_outBuffer out = {to, max_bytes, 0};
    const size_t code = ZSTD_decompressStream(stream_.get(), &out, &in);
    used = in.pos;
    made = out.pos;
    if (ZSTD_isError(code) != 0) return Damaged("zstd");
    is_between_ = code == 0;
    return absl::OkStatus();
  }

  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream_;
  bool is_between_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Input>> Input::Open(const std::string& path,
                                                   const std::atomic<bool>* stop) {
  const int fd = path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::NotFoundError(fmt::format("cannot read the file {}: {}", path, strerror(errno)));
  }
  auto file = std::make_unique<File>(fd, stop);
  const absl::StatusOr<std::string_view> begin = file->Peek(kZstdMagic.size());
  if (absl::IsCancelled(begin.status())) return begin.status();
  if (!begin.ok()) {
    return absl::NotFoundError(
        fmt::format("cannot read the file {}: {}", path, std::string(begin.status().message())));
  }
  if (begin->starts_with(kGzipMagic)) return std::make_unique<GzipInput>(std::move(file));
  if (begin->starts_with(kZstdMagic)) return std::make_unique<ZstdInput>(std::move(file));
  return std::make_unique<StoredInput>(std::move(file));
}

}  // namespace sluice::client

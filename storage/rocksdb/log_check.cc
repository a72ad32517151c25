#include "storage/rocksdb/log_check.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "storage/durable_file.h"
#include "storage/rocksdb/crc32c.h"
#include "storage/rocksdb/status.h"

namespace sluice::storage {
namespace {

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;
// Sequence and count, which every batch begins with.
constexpr size_t kBatchHeaderBytes = 12;
constexpr char kKeyName[] = "/log-key";
constexpr size_t kKeyBytes = 16;
// What MarkSynced adds: "log data" (type 3) of 24 bytes, the key and the sequence.
constexpr std::string_view kLogData = "\x03\x18";
constexpr size_t kMarkBytes = kLogData.size() + kKeyBytes + 8;

enum class Part : uint8_t { kWhole = 1, kFirst = 2, kMiddle = 3, kLast = 4 };

uint64_t LittleEndian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return value;
}

// As the log keeps it, so that a log within a log does not look like one.
uint32_t MaskedChecksum(std::string_view bytes) {
  Crc32c crc;
  crc.Add(bytes);
  const uint32_t value = crc.Value();
  return ((value >> 15) | (value << 17)) + 0xa282ead8u;
}

struct Fragment {
  Part part;
  std::string_view bytes;
};

// The one that begins at `bytes`, if a whole one does.
std::optional<Fragment> ReadFragment(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return std::nullopt;
  const auto type = static_cast<uint8_t>(bytes[6]);
  const size_t length = LittleEndian(bytes.substr(4, 2));
  if (type < 1 || type > 4 || kHeaderBytes + length > bytes.size()) return std::nullopt;
  const auto crc = static_cast<uint32_t>(LittleEndian(bytes.substr(0, 4)));
  if (MaskedChecksum(bytes.substr(6, 1 + length)) != crc) return std::nullopt;
  return Fragment{static_cast<Part>(type), bytes.substr(kHeaderBytes, length)};
}

// Reads the files of a log one after the other.
class LogReader {
 public:
  explicit LogReader(std::string_view key) : mark_(std::string(kLogData) + std::string(key)) {
    if (key.empty()) mark_.clear();
  }

  // Whether there is more to be read: not once damage is proven.
  absl::StatusOr<bool> Read(rocksdb::FileSystem& file_system, const std::string& path,
                            bool unreadable_is_damage);
  // What the files that were read show.
  std::optional<LogEnd> End() const;

 private:
  // The first thing that could not be read.
  struct Unread {
    std::string path;
    uint64_t at = 0;
    // Its sequence, if a record was read before.
    std::optional<uint64_t> sequence;
    // That of the first record behind it.
    std::optional<uint64_t> behind;
    bool is_damage = false;
    bool files_go_on = false;
  };

  void ReadBlock(std::string_view block, bool is_last, uint64_t offset);
  void Take(const Fragment& fragment);
  void TakeRecord();
  void Miss(uint64_t offset);

  // What a mark begins with; empty where there is no key.
  std::string mark_;
  std::string path_;
  std::optional<Unread> unread_;
  // Of the record that is being read; its beginning and its end, as far as they are needed.
  bool in_record_ = false;
  uint64_t record_at_ = 0;
  std::string head_;
  std::string tail_;
  // That the next record has, if one was read at all.
  std::optional<uint64_t> next_sequence_;
};

void LogReader::Miss(uint64_t offset) {
  in_record_ = false;
  if (!unread_) unread_ = {.path = path_, .at = offset, .sequence = next_sequence_, .behind = {}};
}

void LogReader::Take(const Fragment& fragment) {
  const bool begins = fragment.part == Part::kWhole || fragment.part == Part::kFirst;
  // Parts of a record whose beginning could not be read prove nothing.
  if (!begins && !in_record_) return;
  if (begins) {
    head_.clear();
    tail_.clear();
  }
  head_.append(fragment.bytes.substr(0, kBatchHeaderBytes - head_.size()));
  tail_.append(fragment.bytes);
  tail_.erase(0, tail_.size() - std::min(tail_.size(), kMarkBytes));
  in_record_ = fragment.part == Part::kFirst || fragment.part == Part::kMiddle;
  if (!in_record_ && head_.size() == kBatchHeaderBytes) TakeRecord();
}

void LogReader::TakeRecord() {
  const std::string_view head = head_;
  const std::string_view tail = tail_;
  const uint64_t sequence = LittleEndian(head.substr(0, 8));
  next_sequence_ = sequence + LittleEndian(head.substr(8, 4));
  if (!unread_) return;
  if (path_ != unread_->path) {
    if (sequence == unread_->sequence) {
      unread_.reset();
      return;
    }
    unread_->files_go_on = true;
  }
  if (!unread_->behind) unread_->behind = sequence;
  if (mark_.empty() || !tail.starts_with(mark_)) return;
  const uint64_t next_unsynced = LittleEndian(tail.substr(mark_.size()));
  // Where nothing was read before, all that is known of it is that it comes before what is behind.
  unread_->is_damage =
      unread_->sequence ? next_unsynced > *unread_->sequence : next_unsynced >= *unread_->behind;
}

void LogReader::ReadBlock(std::string_view block, bool is_last, uint64_t offset) {
  size_t at = 0;
  while (at + kHeaderBytes <= block.size() && !(unread_ && unread_->is_damage)) {
    const std::optional<Fragment> fragment = ReadFragment(block.substr(at));
    if (!fragment) {
      Miss(in_record_ ? record_at_ : offset + at);
      // The length may be what is damaged: the next one begins anywhere.
      ++at;
      continue;
    }
    const bool begins = fragment->part == Part::kWhole || fragment->part == Part::kFirst;
    if (begins == in_record_) Miss(in_record_ ? record_at_ : offset + at);
    if (begins) record_at_ = offset + at;
    Take(*fragment);
    at += kHeaderBytes + fragment->bytes.size();
  }
  // At the end of a block no header may find room.
  if (is_last && at < block.size()) Miss(in_record_ ? record_at_ : offset + at);
}

absl::StatusOr<bool> LogReader::Read(rocksdb::FileSystem& file_system, const std::string& path,
                                     bool unreadable_is_damage) {
  path_ = path;
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  rocksdb::IOStatus status = file_system.NewSequentialFile(path, {}, &file, nullptr);
  std::vector<char> room(kBlockBytes);
  uint64_t offset = 0;
  while (status.ok() && !(unread_ && unread_->is_damage)) {
    rocksdb::Slice read;
    status = file->Read(room.size(), {}, &read, room.data(), nullptr);
    if (!status.ok() || read.empty()) break;
    ReadBlock(read.ToStringView(), read.size() < kBlockBytes, offset);
    offset += read.size();
    if (read.size() < kBlockBytes) break;
  }
  if (!status.ok() && !unreadable_is_damage) {
    return FromRocksDb(status, "cannot read the log " + path);
  }
  // It ends in the middle of a record.
  if (in_record_ || !status.ok()) Miss(in_record_ ? record_at_ : offset);
  if (!status.ok()) unread_->is_damage = true;
  return !(unread_ && unread_->is_damage);
}

std::optional<LogEnd> LogReader::End() const {
  // A file of which nothing can be read is one that RocksDB needs no more, and would keep.
  const bool is_for_rocksdb =
      unread_ && unread_->files_go_on && !unread_->is_damage && unread_->sequence;
  if (!unread_ || is_for_rocksdb) return std::nullopt;
  return LogEnd{.path = unread_->path,
                .at = unread_->at,
                .is_damage = unread_->is_damage,
                .cuts_records = unread_->behind.has_value() && !unread_->files_go_on,
                .later_files = {}};
}

absl::StatusOr<std::vector<std::string>> ListLogs(rocksdb::FileSystem& file_system,
                                                  const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::IOStatus listed = file_system.GetChildren(path, {}, &names, nullptr);
  if (!listed.ok() && !listed.IsNotFound() && !listed.IsPathNotFound()) {
    return FromRocksDb(listed, "cannot list " + path);
  }
  std::map<uint64_t, std::string> logs;
  for (const std::string& name : names) {
    uint64_t number = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, number);
    if (parsed.ec == std::errc() && std::string_view(parsed.ptr) == ".log") {
      logs[number] = path + "/" + name;
    }
  }
  std::vector<std::string> paths;
  for (auto& [number, log] : logs) paths.push_back(std::move(log));
  return paths;
}

}  // namespace

std::string ReadLogKey(const std::string& path) {
  std::ifstream file(path + kKeyName, std::ios::binary);
  std::string key(kKeyBytes, '\0');
  file.read(key.data(), kKeyBytes);
  return file.gcount() == kKeyBytes ? key : "";
}

std::string ReadOrMakeLogKey(const std::string& path) {
  std::string key = ReadLogKey(path);
  if (!key.empty()) return key;
  key.resize(kKeyBytes);
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) return "";
  return WriteDurably(path + kKeyName, key, 0600).ok() ? key : "";
}

void MarkSynced(rocksdb::WriteBatch& batch, std::string_view key, uint64_t next_unsynced) {
  if (key.empty()) return;
  std::string mark(key);
  for (int i = 0; i < 8; ++i) mark.push_back(static_cast<char>(next_unsynced >> (8 * i)));
  batch.PutLogData(mark).PermitUncheckedError();
}

uint64_t SequenceOf(const rocksdb::WriteBatch& batch) {
  return LittleEndian(std::string_view(batch.Data()).substr(0, 8));
}

std::string ToString(const LogEnd& end) {
  return fmt::format("the log is damaged: {} cannot be read from byte {} on, and was on disk once",
                     end.path, end.at);
}

absl::StatusOr<std::optional<LogEnd>> FindLogEnd(rocksdb::FileSystem& file_system,
                                                 const std::string& path,
                                                 bool unreadable_is_damage) {
  const absl::StatusOr<std::vector<std::string>> logs = ListLogs(file_system, path);
  if (!logs.ok()) return logs.status();
  LogReader reader(ReadLogKey(path));
  for (const std::string& log : *logs) {
    const absl::StatusOr<bool> more = reader.Read(file_system, log, unreadable_is_damage);
    if (!more.ok()) return more.status();
    if (!*more) break;
  }
  std::optional<LogEnd> end = reader.End();
  if (!end) return end;
  const auto found = std::find(logs->begin(), logs->end(), end->path);
  end->later_files.assign(found + 1, logs->end());
  return end;
}

absl::Status CutLog(rocksdb::FileSystem& file_system, const std::string& path, const LogEnd& end) {
  const std::filesystem::path kept = path + ".damaged-log";
  const auto place_of = [&](const std::string& log) {
    return (kept / std::filesystem::path(log).filename()).string();
  };
  if (end.is_damage || end.cuts_records) {
    std::error_code error;
    std::filesystem::create_directories(kept, error);
    // A disk that cannot read it, or is full, cannot copy it either.
    std::filesystem::copy_file(end.path, place_of(end.path),
                               std::filesystem::copy_options::overwrite_existing, error);
  }
  if (end.is_damage) {
    // The last first: what is left by a crash meanwhile is damaged as before.
    for (auto log = end.later_files.rbegin(); log != end.later_files.rend(); ++log) {
      const rocksdb::IOStatus moved = file_system.RenameFile(*log, place_of(*log), {}, nullptr);
      if (!moved.ok()) return FromRocksDb(moved, "cannot move away " + *log);
    }
  }
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus cut = file_system.ReopenWritableFile(end.path, {}, &file, nullptr);
  if (cut.ok()) cut = file->Truncate(end.at, {}, nullptr);
  if (cut.ok()) cut = file->Fsync({}, nullptr);
  if (cut.ok()) cut = file->Close({}, nullptr);
  return FromRocksDb(cut, "cannot cut the log " + end.path);
}

}  // namespace sluice::storage

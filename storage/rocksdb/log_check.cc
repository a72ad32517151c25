#include "storage/rocksdb/log_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "storage/rocksdb/crc32c.h"
#include "storage/rocksdb/status.h"

namespace sluice::storage {
namespace {

constexpr size_t kBlockBytes = 32 << 10;
constexpr size_t kHeaderBytes = 7;
// Sequence and count, which every batch begins with.
constexpr size_t kBatchHeaderBytes = 12;

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
  absl::Status Read(rocksdb::FileSystem& file_system, const std::string& path);

 private:
  absl::Status ReadBlock(std::string_view block, uint64_t offset);
  absl::Status Take(const Fragment& fragment);
  void Miss(uint64_t offset);

  std::string path_;
  // Where the first thing is that could not be read, as long as nothing shows what it was.
  std::string unread_path_;
  uint64_t unread_at_ = 0;
  bool unread_ = false;
  // Of the record that is being read; its beginning, as far as it is needed.
  bool in_record_ = false;
  uint64_t record_at_ = 0;
  std::string head_;
  // That the next record has, if one was read at all.
  std::optional<uint64_t> next_sequence_;
};

void LogReader::Miss(uint64_t offset) {
  in_record_ = false;
  if (unread_) return;
  unread_ = true;
  unread_path_ = path_;
  unread_at_ = offset;
}

absl::Status LogReader::Take(const Fragment& fragment) {
  const bool begins = fragment.part == Part::kWhole || fragment.part == Part::kFirst;
  // Parts of a record whose beginning could not be read prove nothing.
  if (!begins && !in_record_) return absl::OkStatus();
  if (begins) head_.clear();
  const bool knew_head = head_.size() == kBatchHeaderBytes;
  head_.append(fragment.bytes.substr(0, kBatchHeaderBytes - head_.size()));
  in_record_ = fragment.part == Part::kFirst || fragment.part == Part::kMiddle;
  if (head_.size() < kBatchHeaderBytes) return absl::OkStatus();
  const std::string_view head = head_;
  const uint64_t sequence = LittleEndian(head.substr(0, 8));
  if (unread_ && !knew_head) {
    if (sequence != next_sequence_) {
      return absl::DataLossError(fmt::format(
          "the log is damaged: {} cannot be read at byte {}, and what was written after that can",
          unread_path_, unread_at_));
    }
    unread_ = false;
  }
  if (!in_record_) next_sequence_ = sequence + LittleEndian(head.substr(8, 4));
  return absl::OkStatus();
}

absl::Status LogReader::ReadBlock(std::string_view block, uint64_t offset) {
  for (size_t at = 0; at + kHeaderBytes <= block.size();) {
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
    const absl::Status taken = Take(*fragment);
    if (!taken.ok()) return taken;
    at += kHeaderBytes + fragment->bytes.size();
  }
  return absl::OkStatus();
}

absl::Status LogReader::Read(rocksdb::FileSystem& file_system, const std::string& path) {
  path_ = path;
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  rocksdb::IOStatus status = file_system.NewSequentialFile(path, {}, &file, nullptr);
  std::vector<char> room(kBlockBytes);
  for (uint64_t offset = 0; status.ok(); offset += kBlockBytes) {
    rocksdb::Slice read;
    status = file->Read(room.size(), {}, &read, room.data(), nullptr);
    if (!status.ok() || read.empty()) break;
    const absl::Status block = ReadBlock(read.ToStringView(), offset);
    if (!block.ok()) return block;
    if (read.size() < kBlockBytes) break;
  }
  if (!status.ok()) return FromRocksDb(status, "cannot read the log " + path);
  // It ends in the middle of a record.
  if (in_record_) Miss(record_at_);
  return absl::OkStatus();
}

}  // namespace

uint64_t OldestNeededLog(rocksdb::DB& db) {
  uint64_t number = 0;
  return db.GetIntProperty(rocksdb::DB::Properties::kMinLogNumberToKeep, &number) ? number : 0;
}

absl::Status CheckLog(rocksdb::FileSystem& file_system, const std::string& path, uint64_t oldest) {
  std::vector<std::string> names;
  const rocksdb::IOStatus listed = file_system.GetChildren(path, {}, &names, nullptr);
  if (listed.IsNotFound() || listed.IsPathNotFound()) return absl::OkStatus();
  if (!listed.ok()) return FromRocksDb(listed, "cannot list " + path);
  std::map<uint64_t, std::string> logs;
  for (const std::string& name : names) {
    uint64_t number = 0;
    const char* const end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data(), end, number);
    if (parsed.ec == std::errc() && std::string_view(parsed.ptr) == ".log" && number >= oldest) {
      logs[number] = name;
    }
  }
  LogReader reader;
  for (const auto& [number, name] : logs) {
    const absl::Status read = reader.Read(file_system, path + "/" + name);
    if (!read.ok()) return read;
  }
  return absl::OkStatus();
}

}  // namespace sluice::storage

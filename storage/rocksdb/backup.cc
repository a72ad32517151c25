#include "storage/rocksdb/backup.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/utilities/backup_engine.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>

#include "storage/durable_file.h"
#include "storage/rocksdb/crc32c.h"
#include "storage/rocksdb/format_file.h"
#include "storage/rocksdb/no_log.h"
#include "storage/rocksdb/status.h"

namespace sluice::storage {
namespace {

namespace fs = std::filesystem;

// A file that is there as soon as a backup has been completed, and until the last is deleted.
constexpr char kCompleted[] = "has-backups";
constexpr char kKept[] = "sluice 1 format ";

// What is kept with a backup: "sluice 1 format FORMAT instance INSTANCE".
std::string Describe(const std::string& instance) {
  return fmt::format("{}{} instance {}", kKept, kFormatVersion, instance);
}

BackupRecord ToRecord(const rocksdb::BackupInfo& info) {
  BackupRecord record = {.id = info.backup_id,
                         .create_time_ns = info.timestamp * 1'000'000'000,
                         .bytes = info.size,
                         .files = info.number_files};
  std::string_view kept = info.app_metadata;
  if (!kept.starts_with(kKept)) return record;
  kept.remove_prefix(sizeof(kKept) - 1);
  const auto parsed = std::from_chars(kept.data(), kept.data() + kept.size(), record.format);
  constexpr std::string_view kInstance = " instance ";
  kept.remove_prefix(static_cast<size_t>(parsed.ptr - kept.data()));
  if (kept.starts_with(kInstance)) record.instance = kept.substr(kInstance.size());
  return record;
}

rocksdb::BackupEngineOptions OptionsFor(const std::string& dir) {
  rocksdb::BackupEngineOptions options(dir);
  static NoLog no_log;
  options.info_log = &no_log;
  options.sync = true;
  return options;
}

absl::Status NoSuchBackup(const std::string& dir, uint32_t id) {
  return absl::NotFoundError(fmt::format("there is no backup {} in {}", id, dir));
}

absl::StatusOr<std::unique_ptr<rocksdb::BackupEngineReadOnly>> OpenToRead(const std::string& dir) {
  std::error_code error;
  if (!fs::exists(fs::path(dir) / "meta", error)) {
    return absl::NotFoundError(fmt::format("there are no backups in {}", dir));
  }
  rocksdb::BackupEngineReadOnly* opened = nullptr;
  const rocksdb::IOStatus status =
      rocksdb::BackupEngineReadOnly::Open(OptionsFor(dir), rocksdb::Env::Default(), &opened);
  std::unique_ptr<rocksdb::BackupEngineReadOnly> engine(opened);
  if (!status.ok()) return FromRocksDb(status, "cannot open the backups in " + dir);
  return engine;
}

// Whether there is something in a directory.
bool HasFiles(const fs::path& dir) {
  std::error_code error;
  return fs::directory_iterator(dir, error) != fs::directory_iterator();
}

absl::StatusOr<std::unique_ptr<rocksdb::BackupEngine>> OpenToWrite(const std::string& dir) {
  // Without their descriptions RocksDB would take the files of backups for what one that was broken
  // off has left, and delete them: which they are where none was ever completed.
  const fs::path path(dir);
  std::error_code error;
  if (fs::exists(path / kCompleted, error) && !HasFiles(path / "meta") &&
      (HasFiles(path / "private") || HasFiles(path / "shared_checksum"))) {
    return absl::DataLossError(fmt::format(
        "{} has files of backups, and nothing in {}/meta, which says what they are: put that back, "
        "or make backups in another directory",
        dir, dir));
  }
  rocksdb::BackupEngine* opened = nullptr;
  const rocksdb::IOStatus status =
      rocksdb::BackupEngine::Open(OptionsFor(dir), rocksdb::Env::Default(), &opened);
  std::unique_ptr<rocksdb::BackupEngine> engine(opened);
  if (!status.ok()) return FromRocksDb(status, "cannot open the backups in " + dir);
  return engine;
}

std::vector<BackupRecord> Records(const rocksdb::BackupEngineReadOnlyBase& engine) {
  std::vector<rocksdb::BackupInfo> infos;
  engine.GetBackupInfo(&infos);
  std::vector<BackupRecord> records;
  for (const rocksdb::BackupInfo& info : infos) records.push_back(ToRecord(info));
  std::vector<rocksdb::BackupID> damaged;
  engine.GetCorruptedBackups(&damaged);
  for (rocksdb::BackupID id : damaged) records.push_back({.id = id, .damaged = true});
  std::sort(records.begin(), records.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return records;
}

absl::Status Damaged(const std::string& dir, uint32_t id, std::string_view how) {
  return absl::DataLossError(fmt::format("backup {} in {} is damaged: {}", id, dir, how));
}

// False also where it cannot be read.
bool HasChecksum(const fs::path& path, uint32_t checksum) {
  std::ifstream file(path, std::ios::binary);
  Crc32c crc;
  std::vector<char> part(1 << 20);
  while (file.read(part.data(), static_cast<std::streamsize>(part.size())) || file.gcount() > 0) {
    crc.Add({part.data(), static_cast<size_t>(file.gcount())});
  }
  return file.eof() && crc.Value() == checksum;
}

bool SyncFile(const fs::path& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool synced = fsync(file) == 0;
  close(file);
  return synced;
}

// Puts what `source` has in the place of `to`, if that is what its checksum says.
bool CopyAnew(const fs::path& source, const fs::path& to, uint32_t checksum) {
  const fs::path part = to.string() + ".new";
  std::error_code error;
  fs::copy_file(source, part, fs::copy_options::overwrite_existing, error);
  const bool good = !error && HasChecksum(part, checksum) && SyncFile(part);
  if (good) fs::rename(part, to, error);
  if (good && !error) return true;
  fs::remove(part, error);
  return false;
}

// The record of `id`, or of the newest.
absl::StatusOr<BackupRecord> Choose(const rocksdb::BackupEngineReadOnlyBase& engine,
                                    const std::string& dir, std::optional<uint32_t> id) {
  const std::vector<BackupRecord> records = Records(engine);
  for (auto record = records.rbegin(); record != records.rend(); ++record) {
    if (id && record->id != *id) continue;
    if (record->damaged) {
      return Damaged(dir, record->id, "files are missing, or have another size; name another one");
    }
    return *record;
  }
  return id ? NoSuchBackup(dir, *id)
            : absl::NotFoundError(fmt::format("there are no backups in {}", dir));
}

}  // namespace

absl::StatusOr<BackupRecord> CreateBackup(rocksdb::DB& db, const std::string& instance,
                                          const BackupOptions& options) {
  std::error_code error;
  fs::create_directories(options.dir, error);
  if (error) {
    return absl::UnavailableError(fmt::format("cannot make {}: {}", options.dir, error.message()));
  }
  auto engine = OpenToWrite(options.dir);
  if (!engine.ok()) return engine.status();
  // Of one that was broken off.
  (*engine)->GarbageCollect().PermitUncheckedError();
  std::atomic<bool> stopped = false;
  rocksdb::CreateBackupOptions how;
  // The log is copied: that is faster than a flush, and leaves writes alone.
  how.flush_before_backup = false;
  how.progress_callback = [&] {
    if (stopped || !options.should_stop || !options.should_stop()) return;
    stopped = true;
    (*engine)->StopBackup();
  };
  rocksdb::BackupID id = 0;
  const rocksdb::IOStatus made =
      (*engine)->CreateNewBackupWithMetadata(how, &db, Describe(instance), &id);
  if (!made.ok()) {
    (*engine)->GarbageCollect().PermitUncheckedError();
    if (stopped) return absl::UnavailableError("the backup was stopped");
    if (made.IsCorruption()) {
      return absl::DataLossError(fmt::format(
          "no backup was made, for a table of the store is damaged: {}", made.ToString()));
    }
    return FromRocksDb(made, "cannot make a backup in " + options.dir);
  }
  const absl::Status marked = WriteDurably((fs::path(options.dir) / kCompleted).string(), "", 0644);
  if (!marked.ok()) return marked;
  return Choose(**engine, options.dir, id);
}

absl::StatusOr<std::vector<BackupRecord>> ListBackups(const std::string& dir) {
  auto engine = OpenToRead(dir);
  if (absl::IsNotFound(engine.status())) return std::vector<BackupRecord>();
  if (!engine.ok()) return engine.status();
  return Records(**engine);
}

absl::Status VerifyBackup(const std::string& dir, uint32_t id) {
  auto engine = OpenToRead(dir);
  if (!engine.ok()) return engine.status();
  const absl::StatusOr<BackupRecord> record = Choose(**engine, dir, id);
  if (!record.ok()) return record.status();
  const rocksdb::IOStatus verified = (*engine)->VerifyBackup(id, /*verify_with_checksum=*/true);
  if (verified.ok()) return absl::OkStatus();
  // A file that is missing or short is as bad as one with a wrong checksum.
  return Damaged(dir, id, verified.ToString());
}

size_t MendBackup(const rocksdb::DB& db, const std::string& dir, uint32_t id) {
  std::ifstream description(fs::path(dir) / "meta" / std::to_string(id));
  size_t mended = 0;
  // A line of it is "shared_checksum/NUMBER_sSESSION_SIZE.sst crc32 CHECKSUM".
  for (std::string line; std::getline(description, line);) {
    constexpr std::string_view kShared = "shared_checksum/";
    constexpr std::string_view kCrc = " crc32 ";
    const size_t number_end = line.find('_', kShared.size());
    const size_t crc = line.find(kCrc);
    if (!line.starts_with(kShared) || crc == std::string::npos || number_end > crc) continue;
    uint32_t checksum = 0;
    std::from_chars(line.data() + crc + kCrc.size(), line.data() + line.size(), checksum);
    const fs::path file = fs::path(dir) / line.substr(0, crc);
    if (HasChecksum(file, checksum)) continue;
    const std::string number = line.substr(kShared.size(), number_end - kShared.size());
    const fs::path source = fs::path(db.GetName()) / (number + ".sst");
    mended += CopyAnew(source, file, checksum) ? 1 : 0;
  }
  return mended;
}

absl::Status DeleteBackup(const std::string& dir, uint32_t id) {
  auto engine = OpenToWrite(dir);
  if (!engine.ok()) return engine.status();
  const absl::StatusOr<BackupRecord> last = Choose(**engine, dir, std::nullopt);
  if (Records(**engine).size() == 1 && last.ok() && last->id == id) {
    // What is left of it when it is broken off is not to be kept.
    std::error_code ignored;
    fs::remove(fs::path(dir) / kCompleted, ignored);
  }
  const rocksdb::IOStatus deleted = (*engine)->DeleteBackup(id);
  if (deleted.IsNotFound()) return NoSuchBackup(dir, id);
  return FromRocksDb(deleted, fmt::format("cannot delete backup {} in {}", id, dir));
}

absl::Status DeleteOldBackups(const std::string& dir, size_t keep) {
  auto engine = OpenToWrite(dir);
  if (!engine.ok()) return engine.status();
  const rocksdb::IOStatus purged =
      (*engine)->PurgeOldBackups(static_cast<uint32_t>(std::clamp<size_t>(keep, 1, 1'000'000)));
  return FromRocksDb(purged, "cannot delete old backups in " + dir);
}

absl::StatusOr<BackupRecord> RestoreBackup(const std::string& dir, std::optional<uint32_t> id,
                                           const std::string& data_dir) {
  auto engine = OpenToRead(dir);
  if (!engine.ok()) return engine.status();
  const absl::StatusOr<BackupRecord> record = Choose(**engine, dir, id);
  if (!record.ok()) return record.status();
  if (record->format < kOldestFormat || record->format > kFormatVersion) {
    return absl::FailedPreconditionError(
        fmt::format("backup {} in {} has format {}, and this program reads {} to {}", record->id,
                    dir, record->format, kOldestFormat, kFormatVersion));
  }
  std::error_code error;
  if (fs::exists(fs::path(data_dir) / "FORMAT", error) ||
      fs::exists(fs::path(data_dir) / "rocksdb", error)) {
    return absl::AlreadyExistsError(
        fmt::format("{} has a store already; restore to another directory", data_dir));
  }
  fs::create_directories(data_dir, error);
  if (error) {
    return absl::UnavailableError(fmt::format("cannot make {}: {}", data_dir, error.message()));
  }
  // Not under the name that a server looks for before it is complete.
  const fs::path part = fs::path(data_dir) / kIncomplete;
  fs::remove_all(part, error);
  const rocksdb::IOStatus restored =
      (*engine)->RestoreDBFromBackup(record->id, part.string(), part.string());
  if (!restored.ok()) {
    // Its threads may still be copying.
    engine->reset();
    fs::remove_all(part, error);
    return restored.IsCorruption() || restored.IsNotFound()
               ? Damaged(dir, record->id, restored.ToString())
               : FromRocksDb(restored, "cannot restore to " + data_dir);
  }
  fs::rename(part, fs::path(data_dir) / "rocksdb", error);
  if (error) {
    return absl::UnavailableError(
        fmt::format("cannot rename {}: {}", part.string(), error.message()));
  }
  // Last: a store without it is refused, and it without a store would be taken for a new one.
  const absl::Status written = WriteFormat(data_dir, record->format);
  if (!written.ok()) return written;
  return record;
}

}  // namespace sluice::storage

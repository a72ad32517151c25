#include "server/backup/backups.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <utility>

#include "storage/reason.h"

namespace sluice::server {

Backups::Backups(storage::Store& store, const Readiness& readiness, std::string dir,
                 uint64_t min_free_bytes, observability::Metrics& metrics)
    : store_(store), readiness_(readiness), dir_(std::move(dir)), min_free_bytes_(min_free_bytes) {
  if (dir_.empty()) return;
  FindNewest();
  AddGauges(metrics);
}

void Backups::FindNewest() {
  const auto known = store_.ListBackups(dir_);
  storage::BackupRecord newest;
  for (const storage::BackupRecord& backup : known.value_or(std::vector<storage::BackupRecord>())) {
    if (!backup.damaged) newest = backup;
  }
  last_ns_ = newest.create_time_ns;
  last_bytes_ = static_cast<int64_t>(newest.bytes);
}

void Backups::AddGauges(observability::Metrics& metrics) {
  metrics.AddGauge(
      "sluice_last_backup_timestamp_seconds",
      "When the newest backup that has all its files was begun, in Unix time; 0: none.",
      [this] { return static_cast<double>(last_ns_) / 1e9; });
  metrics.AddGauge("sluice_last_backup_bytes", "Size of that backup.",
                   [this] { return static_cast<double>(last_bytes_); });
  metrics.AddCounter("sluice_backup_failures_total",
                     "Backups that failed, were stopped, or were found damaged.",
                     [this] { return static_cast<double>(failures_); });
  metrics.AddHistogram("sluice_backup_duration_seconds", "Time that backups took.",
                       [this] { return seconds_.Read(); });
}

absl::Status Backups::CheckDir() const {
  if (!dir_.empty()) return absl::OkStatus();
  return storage::WithReason(
      absl::FailedPreconditionError("the server makes no backups: start it with --backup-dir"),
      "BACKUPS_OFF");
}

absl::StatusOr<storage::BackupRecord> Backups::Create(size_t keep, bool verify) {
  const auto since = std::chrono::steady_clock::now();
  absl::StatusOr<storage::BackupRecord> made = Make(keep, verify);
  if (made.ok()) {
    seconds_.Observe(std::chrono::steady_clock::now() - since);
    last_ns_ = made->create_time_ns;
    last_bytes_ = static_cast<int64_t>(made->bytes);
  } else if (!dir_.empty()) {
    ++failures_;
  }
  return made;
}

absl::StatusOr<storage::BackupRecord> Backups::Make(size_t keep, bool verify) {
  absl::Status possible = CheckDir();
  if (possible.ok()) possible = CheckGoingOn();
  if (!possible.ok()) return possible;
  absl::Status stopped;
  auto made = store_.Backup({.dir = dir_, .should_stop = [&] {
                               stopped = CheckGoingOn();
                               return !stopped.ok();
                             }});
  if (!stopped.ok()) return stopped;
  if (!made.ok()) return made;
  // The older ones stay where the new one is of no use.
  const absl::Status verified = verify ? VerifyNew(made->id) : absl::OkStatus();
  if (!verified.ok()) {
    // It would count as one of those to keep.
    store_.DeleteBackup(dir_, made->id).IgnoreError();
    return absl::Status(verified.code(), fmt::format("{}; it was deleted again. Look at that disk",
                                                     std::string(verified.message())));
  }
  if (keep > 0) {
    const absl::Status deleted = store_.DeleteOldBackups(dir_, keep);
    if (!deleted.ok()) return deleted;
  }
  return made;
}

// A table that it shares with older ones may be damaged since they were made.
absl::Status Backups::VerifyNew(uint32_t id) {
  const absl::Status verified = store_.VerifyBackup(dir_, id);
  if (!absl::IsDataLoss(verified)) return verified;
  const size_t mended = store_.MendBackup(dir_, id);
  if (mended == 0) return verified;
  spdlog::warn("{} files in {} were damaged, and are copied anew; look at that disk: {}", mended,
               dir_, std::string(verified.message()));
  return store_.VerifyBackup(dir_, id);
}

// Whether there is time and room for a backup.
absl::Status Backups::CheckGoingOn() const {
  const absl::Status serving = readiness_.CheckServing();
  if (!serving.ok()) return serving;
  std::error_code error;
  std::filesystem::path place = dir_;
  while (!std::filesystem::exists(place, error) && place.has_parent_path() &&
         place != place.parent_path()) {
    place = place.parent_path();
  }
  const std::filesystem::space_info space = std::filesystem::space(place, error);
  if (error || space.available >= min_free_bytes_) return absl::OkStatus();
  return storage::WithReason(
      absl::UnavailableError(fmt::format(
          "the disk of the backups is nearly full: {} bytes are free, and {} have to stay so",
          space.available, min_free_bytes_)),
      "BACKUP_DISK_NEARLY_FULL");
}

absl::StatusOr<std::vector<storage::BackupRecord>> Backups::List() const {
  const absl::Status possible = CheckDir();
  if (!possible.ok()) return possible;
  return store_.ListBackups(dir_);
}

absl::Status Backups::Verify(uint32_t id) {
  const absl::Status possible = CheckDir();
  if (!possible.ok()) return possible;
  const absl::Status verified = store_.VerifyBackup(dir_, id);
  if (absl::IsDataLoss(verified)) ++failures_;
  return verified;
}

absl::Status Backups::Delete(uint32_t id) {
  const absl::Status possible = CheckDir();
  if (!possible.ok()) return possible;
  const absl::Status deleted = store_.DeleteBackup(dir_, id);
  FindNewest();
  return deleted;
}

}  // namespace sluice::server

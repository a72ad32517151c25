#ifndef SLUICE_STORAGE_ROCKSDB_BACKUP_H_
#define SLUICE_STORAGE_ROCKSDB_BACKUP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup.h"

namespace rocksdb {
class DB;
}

namespace sluice::storage {

// Backups of stores in a directory of their own, by RocksDB's BackupEngine: each is whole by
// itself, and those files that do not change any more, which are nearly all, are there once for all
// of them. Every file has a checksum. One process at a time may change a directory.
//
// Errors: NotFound where there is no such backup or directory; DataLoss where one is damaged;
// Unavailable where a disk is full, cannot be read or written.

// Copies everything that is committed when it begins, or some of what is committed while it runs: a
// prefix of the commits. Commits go on. DataLoss where a table of the store that is to be copied is
// not what was written, for all tables of format 4 and later programs.
absl::StatusOr<BackupRecord> CreateBackup(rocksdb::DB& db, const std::string& instance,
                                          const BackupOptions& options);

// The oldest first, those that are damaged included. Reads no more than their descriptions.
absl::StatusOr<std::vector<BackupRecord>> ListBackups(const std::string& dir);

// Reads all of a backup and compares the checksums.
absl::Status VerifyBackup(const std::string& dir, uint32_t id);

// Copies tables of a backup whose checksums are wrong anew, from where `db` has them still as they
// were, for that one and all that share them: the next backup would take them for good. Returns how
// many.
size_t MendBackup(const rocksdb::DB& db, const std::string& dir, uint32_t id);

// Deletes one.
absl::Status DeleteBackup(const std::string& dir, uint32_t id);

// Deletes all but the newest `keep`, which is 1 at least.
absl::Status DeleteOldBackups(const std::string& dir, size_t keep);

// Makes of a backup, the newest where no id is given (also where that is damaged), a store in
// `data_dir`, of which there must be nothing yet: AlreadyExists. Compares the checksums while it
// does. FailedPrecondition where it is of a newer format. One that fails leaves nothing that a
// server would open.
absl::StatusOr<BackupRecord> RestoreBackup(const std::string& dir, std::optional<uint32_t> id,
                                           const std::string& data_dir);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_BACKUP_H_

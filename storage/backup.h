#ifndef SLUICE_STORAGE_BACKUP_H_
#define SLUICE_STORAGE_BACKUP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace sluice::storage {

// What is known of a backup.
struct BackupRecord {
  // Of one directory: grows from each to the next; that of the newest is used again where that one
  // is deleted.
  uint32_t id = 0;
  int64_t create_time_ns = 0;
  // Of all files that it consists of, also those that it shares with others.
  uint64_t bytes = 0;
  uint64_t files = 0;
  // The store that it is of (Store::InstanceId), and the version of its format.
  std::string instance = "";
  int format = 0;
  // Whether files of it are missing, or have another size; then nothing else of it is known.
  bool damaged = false;
};

// How a backup is to be made.
struct BackupOptions {
  // Where backups are, one beside the other; made if it is not there.
  std::string dir;
  // Asked now and then; true ends the backup with Unavailable, and leaves nothing of it.
  std::function<bool()> should_stop = nullptr;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BACKUP_H_

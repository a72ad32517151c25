#ifndef SLUICE_STORAGE_ROCKSDB_STORE_H_
#define SLUICE_STORAGE_ROCKSDB_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/block/compactor.h"
#include "storage/store.h"

namespace rocksdb {
class FileSystem;
}

namespace sluice::storage {

// Only for tests that put something else below RocksDB.
using RocksDbFileSystem = std::shared_ptr<rocksdb::FileSystem>;

struct RocksDbOptions {
  // Commits are refused while the disk has less than this free, so that there is room left to drop
  // databases and to shut down in order.
  uint64_t min_free_disk_bytes = uint64_t{256} << 20;
  // Of recently read data, over all databases.
  uint64_t block_cache_bytes = uint64_t{256} << 20;
  // Of data that is in the log and not yet in a table, over all databases.
  uint64_t write_buffer_bytes = uint64_t{256} << 20;
  // Descriptors for tables.
  size_t max_open_files = 1024;
  CompactionOptions compaction = {};
  // Opens a store of which the log is damaged before its end, with what comes before the damage.
  // What comes behind is lost, and so is what the catalog does not know any more.
  bool cut_damaged_log = false;
  RocksDbFileSystem file_system = nullptr;
  // Told, a line at a time, what RocksDB finds wrong. From any thread. None tells nobody.
  std::function<void(const std::string&)> log = nullptr;
};

// Opens the store below `data_dir`, which is made if there is none: the file FORMAT and one RocksDB
// with a column family for each database. FailedPrecondition, with nothing touched, where it was
// written in a newer format; DataLoss where what says what there is, or the log before its end, is
// damaged. One process at a time can have it open.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& data_dir,
                                                        const RocksDbOptions& options = {});

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_STORE_H_

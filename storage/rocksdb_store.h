#ifndef SLUICE_STORAGE_ROCKSDB_STORE_H_
#define SLUICE_STORAGE_ROCKSDB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace sluice::storage {

struct RocksDbOptions {
  // Commits are refused while the disk has less than this free, so that there is room left to drop
  // databases and to shut down in order.
  uint64_t min_free_disk_bytes = uint64_t{256} << 20;
};

// Opens the store below `data_dir`, which is made if there is none: the file FORMAT and one RocksDB
// with a column family for each database. FailedPrecondition, with nothing touched, where it was
// written in a newer format. One process at a time can have it open.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& data_dir,
                                                        const RocksDbOptions& options = {});

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_STORE_H_

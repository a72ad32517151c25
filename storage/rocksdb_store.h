#ifndef SLUICE_STORAGE_ROCKSDB_STORE_H_
#define SLUICE_STORAGE_ROCKSDB_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/store.h"

namespace sluice::storage {

// Opens the store below `data_dir`, which is made if there is none: the file FORMAT and one RocksDB
// with a column family for each database. FailedPrecondition, with nothing touched, where it was
// written in a newer format. One process at a time can have it open.
absl::StatusOr<std::unique_ptr<Store>> OpenRocksDbStore(const std::string& data_dir);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_STORE_H_

#ifndef SLUICE_STORAGE_ROCKSDB_STATUS_H_
#define SLUICE_STORAGE_ROCKSDB_STATUS_H_

#include <rocksdb/status.h>

#include <string_view>

#include "absl/status/status.h"

namespace sluice::storage {

// A RocksDB outcome as one of ours: Unavailable for what later would cure, DataLoss for corruption,
// Internal for the rest. `doing` says what was being done.
absl::Status FromRocksDb(const rocksdb::Status& status, std::string_view doing);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_STATUS_H_

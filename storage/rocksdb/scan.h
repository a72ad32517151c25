#ifndef SLUICE_STORAGE_ROCKSDB_SCAN_H_
#define SLUICE_STORAGE_ROCKSDB_SCAN_H_

#include <memory>

#include "storage/rocksdb/database.h"
#include "storage/store.h"

namespace sluice::storage {

// The database as it is now, by a RocksDB snapshot.
std::shared_ptr<const Snapshot> MakeSnapshot(std::shared_ptr<const RocksDbDatabase> database);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_SCAN_H_

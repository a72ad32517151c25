#ifndef SLUICE_STORAGE_ROCKSDB_CHECK_H_
#define SLUICE_STORAGE_ROCKSDB_CHECK_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice::storage {

// What is in a store, key by key.
struct StoreReport {
  size_t databases = 0;
  size_t tables = 0;
  size_t tokens = 0;
  size_t blocks = 0;
  // Of all blocks; points that came several times and are not merged count several times.
  size_t rows = 0;
  // What does not agree: wrong checksums, directories without their bodies, counts, anything that
  // cannot be decoded. Each says where.
  std::vector<std::string> faults;
};

// Reads all of the store in `data_dir`, and changes nothing. Unavailable where a server has it
// open, NotFound where there is none, FailedPrecondition where it is of another format; what is
// wrong with it is in the report. `progress`, if there is one, is called now and then with how many
// blocks have been looked at.
absl::StatusOr<StoreReport> CheckStore(const std::string& data_dir,
                                       const std::function<void(size_t)>& progress = nullptr);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_CHECK_H_

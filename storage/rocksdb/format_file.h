#ifndef SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_
#define SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace sluice::storage {

// The version of everything stored below a data directory. A change that an older program could
// misread raises it.
inline constexpr int kFormatVersion = 3;

// Checks the file FORMAT in `data_dir`, which says the version in one line of text, before anything
// else is opened; makes it, and the directory, where there is no store yet. FailedPrecondition,
// with nothing touched, where the store is of another version, or where there is a store without
// the file.
absl::Status CheckFormat(const std::string& data_dir);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_

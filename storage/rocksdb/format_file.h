#ifndef SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_
#define SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_

#include <string>

#include "absl/status/status.h"

namespace sluice::storage {

// The version of everything stored below a data directory. A change that an older program could
// misread, or not read, raises it; what has been stored before stays readable, and is written anew
// in the new form when it is merged or changed.
//
//   3  the first that later ones read
//   4  tokens with the name of a certificate or limits (token_record.cc, version 2)
inline constexpr int kFormatVersion = 4;
inline constexpr int kOldestFormat = 3;

// OK where the file FORMAT in `data_dir`, which says the version in one line of text, names one
// that this program reads. FailedPrecondition where it does not, Unavailable where it cannot be
// read. Changes nothing.
absl::Status CheckFormat(const std::string& data_dir);

// Below a data directory, where a restore is under way or was broken off.
inline constexpr char kIncomplete[] = "rocksdb.incomplete";

// The same, before anything else is opened; makes the file, and the directory, where there is no
// store yet. FailedPrecondition, with nothing touched, where there is a store without the file, or
// a part of one that was to be restored.
absl::Status CheckOrMakeFormat(const std::string& data_dir);

// Raises the version where that is older, from when on older programs refuse the store.
absl::Status RaiseFormat(const std::string& data_dir);

// Makes the file, for a store that is about to be put there.
absl::Status WriteFormat(const std::string& data_dir, int version);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_FORMAT_FILE_H_

#ifndef SLUICE_STORAGE_ROCKSDB_MARK_H_
#define SLUICE_STORAGE_ROCKSDB_MARK_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sluice::storage {

// What is stored of a WriterMark, see keys.h.
struct Mark {
  int64_t sequence = 0;
  // When it was written.
  int64_t time_ns = 0;
};

std::string EncodeMark(const Mark& mark);
// DataLoss where `bytes` is none.
absl::StatusOr<Mark> DecodeMark(std::string_view bytes);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_MARK_H_

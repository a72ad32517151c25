#ifndef SLUICE_STORAGE_DURABLE_FILE_H_
#define SLUICE_STORAGE_DURABLE_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"

namespace sluice::storage {

// Makes `text` the content of the file `path`, in place of what is there: after a crash of the
// machine there is one or the other, and after it has returned this one. Unavailable, and why,
// otherwise.
absl::Status WriteDurably(const std::string& path, const std::string& text, mode_t mode);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_DURABLE_FILE_H_

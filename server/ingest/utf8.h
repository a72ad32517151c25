#ifndef SLUICE_SERVER_INGEST_UTF8_H_
#define SLUICE_SERVER_INGEST_UTF8_H_

#include <string_view>

#include "absl/status/status.h"

namespace sluice::ingest {

// InvalidArgument, with the index of the first byte at fault, where `body` is not UTF-8 as a whole
// (contract W-52).
absl::Status CheckUtf8(std::string_view body);

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_UTF8_H_

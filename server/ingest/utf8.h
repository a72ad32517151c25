#ifndef SLUICE_SERVER_INGEST_UTF8_H_
#define SLUICE_SERVER_INGEST_UTF8_H_

#include <cstddef>
#include <string_view>

#include "absl/status/status.h"

namespace sluice::ingest {

// InvalidArgument, with the index of the first byte at fault, where `body` is not UTF-8 as a whole
// (contract W-52).
absl::Status CheckUtf8(std::string_view body);

bool IsUtf8(std::string_view text);

// The first bytes of `text`, at most `max_bytes`, without cutting a UTF-8 character in two.
std::string_view CutUtf8(std::string_view text, size_t max_bytes);

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_UTF8_H_

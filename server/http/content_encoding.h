#ifndef SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_
#define SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sluice::http {

// `body` decoded as the header Content-Encoding says: nothing, "identity" or "gzip", of one member
// or several (contract W-37). The result points into `body` or into `storage`. InvalidArgument for
// any other encoding and for damaged gzip, ResourceExhausted where the result would be larger than
// `max_bytes`; at most about twice that is ever held.
absl::StatusOr<std::string_view> DecodeContent(std::string_view encoding, std::string_view body,
                                               size_t max_bytes, std::string& storage);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_

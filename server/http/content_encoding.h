#ifndef SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_
#define SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/resources/memory_budget.h"

namespace sluice::http {

// Undoes a Content-Encoding: nothing, "identity", "gzip" or "zstd", of one member or several
// (contract W-37).
class ContentDecoder {
 public:
  // Takes its memory from `budget`, which must outlive it.
  ContentDecoder(size_t max_bytes, server::MemoryBudget& budget)
      : max_bytes_(max_bytes), share_(budget) {}

  // `body` decoded; the result points into `body` or into the decoder. InvalidArgument for any
  // other encoding and for damaged content, ResourceExhausted where the result would be larger than
  // `max_bytes`, Unavailable where the budget is used up. To be called once.
  absl::StatusOr<std::string_view> Decode(std::string_view encoding, std::string_view body);

 private:
  enum class End { kDone, kNoRoom, kDamaged };
  // Decodes the first member in `body`, which it takes away, to the end of what is there.
  using DecodeMember = End (ContentDecoder::*)(std::string_view& body);

  absl::StatusOr<std::string_view> DecodeAll(const char* name, std::string_view body,
                                             DecodeMember decode);
  End Gunzip(std::string_view& body);
  End Unzstd(std::string_view& body);
  absl::Status Reserve(size_t bytes);

  const size_t max_bytes_;
  server::MemoryBudget::Share share_;
  std::unique_ptr<char[]> decoded_;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_CONTENT_ENCODING_H_

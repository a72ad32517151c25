#include "server/http/content_encoding.h"

#include <fmt/format.h>
#include <libdeflate.h>

#include <algorithm>
#include <memory>

#include "absl/strings/ascii.h"

namespace sluice::http {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};

// How much larger than the compressed bytes the first attempt expects the result to be.
constexpr size_t kExpectedRatio = 8;

absl::Status Damaged(const char* what) {
  return absl::InvalidArgumentError(std::string("invalid gzip body: ") + what);
}

// libdeflate wants room for a whole member, whose size is not known for certain before: the room
// grows until it is enough, or too much.
absl::StatusOr<std::string_view> Gunzip(std::string_view body, size_t max_bytes,
                                        std::string& storage) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  storage.resize(std::min(max_bytes, std::max<size_t>(4096, kExpectedRatio * body.size())));
  size_t size = 0;
  while (!body.empty()) {
    size_t used = 0;
    size_t written = 0;
    libdeflate_result result = libdeflate_gzip_decompress_ex(
        decompressor.get(), body.data(), body.size(), storage.data() + size, storage.size() - size,
        &used, &written);
    if (result == LIBDEFLATE_SUCCESS) {
      body.remove_prefix(used);
      size += written;
    } else if (result != LIBDEFLATE_INSUFFICIENT_SPACE) {
      return Damaged("truncated, corrupt, or followed by something else");
    } else if (storage.size() == max_bytes) {
      return absl::ResourceExhaustedError(
          fmt::format("max request size ({} bytes) exceeded", max_bytes));
    } else {
      storage.resize(std::min(max_bytes, 2 * storage.size()));
    }
  }
  return std::string_view(storage).substr(0, size);
}

}  // namespace

absl::StatusOr<std::string_view> DecodeContent(std::string_view encoding, std::string_view body,
                                               size_t max_bytes, std::string& storage) {
  std::string name = absl::AsciiStrToLower(absl::string_view(encoding.data(), encoding.size()));
  if (body.empty() || name.empty() || name == "identity") return body;
  if (name == "gzip") return Gunzip(body, max_bytes, storage);
  return absl::InvalidArgumentError(
      fmt::format("unknown Content-Encoding '{}'; send the body as it is, or gzip", encoding));
}

}  // namespace sluice::http

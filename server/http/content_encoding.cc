#include "server/http/content_encoding.h"

#include <fmt/format.h>
#include <libdeflate.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"

namespace sluice::http {
namespace {

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const {
    libdeflate_free_decompressor(decompressor);
  }
};
struct FreeContext {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// How much larger than the compressed bytes the first attempt expects the result to be.
constexpr size_t kExpectedRatio = 8;
constexpr size_t kMinCapacity = 4096;

}  // namespace

absl::StatusOr<std::string_view> ContentDecoder::Decode(std::string_view encoding,
                                                        std::string_view body) {
  std::string name = absl::AsciiStrToLower(absl::string_view(encoding.data(), encoding.size()));
  if (body.empty() || name.empty() || name == "identity") return body;
  if (name == "gzip") return DecodeAll("gzip", body, &ContentDecoder::Gunzip);
  if (name == "zstd") return DecodeAll("zstd", body, &ContentDecoder::Unzstd);
  return absl::InvalidArgumentError(fmt::format(
      "unknown Content-Encoding '{}'; send the body as it is, or gzip or zstd", encoding));
}

// Both libraries want room for a whole member, whose size is not known for certain before: the room
// grows until it is enough, or too much.
absl::StatusOr<std::string_view> ContentDecoder::DecodeAll(const char* name, std::string_view body,
                                                           DecodeMember decode) {
  absl::Status room = Reserve(std::max(kMinCapacity, kExpectedRatio * body.size()));
  while (room.ok() && !body.empty()) {
    switch ((this->*decode)(body)) {
      case End::kDone:
        break;
      case End::kDamaged:
        return absl::InvalidArgumentError(fmt::format(
            "invalid {} body: truncated, corrupt, or followed by something else", name));
      case End::kNoRoom:
        if (capacity_ == max_bytes_) return server::BodyTooLarge(max_bytes_);
        room = Reserve(2 * capacity_);
    }
  }
  if (!room.ok()) return room;
  return std::string_view(decoded_.get(), size_);
}

ContentDecoder::End ContentDecoder::Gunzip(std::string_view& body) {
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  size_t used = 0;
  size_t written = 0;
  libdeflate_result result =
      libdeflate_gzip_decompress_ex(decompressor.get(), body.data(), body.size(),
                                    decoded_.get() + size_, capacity_ - size_, &used, &written);
  if (result == LIBDEFLATE_INSUFFICIENT_SPACE) return End::kNoRoom;
  if (result != LIBDEFLATE_SUCCESS) return End::kDamaged;
  body.remove_prefix(used);
  size_ += written;
  return End::kDone;
}

// In one call, so that the result itself is the window, whatever size of it the frame asks for.
ContentDecoder::End ContentDecoder::Unzstd(std::string_view& body) {
  thread_local const std::unique_ptr<ZSTD_DCtx, FreeContext> context(ZSTD_createDCtx());
  size_t frame = ZSTD_findFrameCompressedSize(body.data(), body.size());
  if (ZSTD_isError(frame) != 0) return End::kDamaged;
  size_t written = ZSTD_decompressDCtx(context.get(), decoded_.get() + size_, capacity_ - size_,
                                       body.data(), frame);
  if (ZSTD_isError(written) != 0) {
    return ZSTD_getErrorCode(written) == ZSTD_error_dstSize_tooSmall ? End::kNoRoom : End::kDamaged;
  }
  body.remove_prefix(frame);
  size_ += written;
  return End::kDone;
}

absl::Status ContentDecoder::Reserve(size_t bytes) {
  size_t capacity = std::min(max_bytes_, bytes);
  absl::Status grown = share_.GrowBody(capacity - capacity_);
  if (!grown.ok()) return grown;
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (size_ > 0) std::memcpy(larger.get(), decoded_.get(), size_);
  decoded_ = std::move(larger);
  capacity_ = capacity;
  return absl::OkStatus();
}

}  // namespace sluice::http

#include "server/http/content_encoding.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

namespace sluice::http {
namespace {

constexpr size_t kMaxBytes = 100000;

std::string Gzip(const std::string& text) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string out(libdeflate_gzip_compress_bound(compressor, text.size()), '\0');
  out.resize(
      libdeflate_gzip_compress(compressor, text.data(), text.size(), out.data(), out.size()));
  libdeflate_free_compressor(compressor);
  return out;
}

absl::StatusOr<std::string> Decode(std::string_view encoding, const std::string& body) {
  std::string storage;
  auto decoded = DecodeContent(encoding, body, kMaxBytes, storage);
  if (!decoded.ok()) return decoded.status();
  return std::string(*decoded);
}

TEST(DecodeContentTest, LeavesPlainBodiesAlone) {
  EXPECT_EQ(*Decode("", "text"), "text");
  EXPECT_EQ(*Decode("identity", "text"), "text");
}

TEST(DecodeContentTest, DecodesGzipOfOneMemberOrSeveral) {
  EXPECT_EQ(*Decode("gzip", Gzip("one")), "one");
  EXPECT_EQ(*Decode("GZIP", Gzip("one") + Gzip("") + Gzip("two")), "onetwo");
}

TEST(DecodeContentTest, IgnoresTheEncodingOfAnEmptyBody) {
  EXPECT_EQ(*Decode("gzip", ""), "");
  EXPECT_EQ(*Decode("nonsense", ""), "");
}

TEST(DecodeContentTest, ExactlyTheLimitPasses) {
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes, 'x')))->size(), kMaxBytes);
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes + 1, 'x'))).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes, 'x')) + Gzip("y")).status().message(),
            "max request size (100000 bytes) exceeded");
}

TEST(DecodeContentTest, ABombIsStoppedAtTheLimit) {
  EXPECT_EQ(Decode("gzip", Gzip(std::string(size_t{64} << 20, '\0'))).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(DecodeContentTest, RefusesDamagedGzip) {
  std::string good = Gzip("some text that is long enough");
  for (const std::string& bad :
       {good.substr(0, good.size() - 1), good.substr(0, 5), good + "x", std::string("plain")}) {
    EXPECT_EQ(Decode("gzip", bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
  std::string corrupt = good;
  corrupt[corrupt.size() - 6] = static_cast<char>(corrupt[corrupt.size() - 6] ^ 1);
  EXPECT_EQ(Decode("gzip", corrupt).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(DecodeContentTest, RefusesOtherEncodings) {
  EXPECT_EQ(Decode("br", "x").status().message(),
            "unknown Content-Encoding 'br'; send the body as it is, or gzip");
}

}  // namespace
}  // namespace sluice::http

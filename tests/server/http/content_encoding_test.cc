#include "server/http/content_encoding.h"

#include <gtest/gtest.h>

#include "tests/fixture/compress.h"

namespace sluice::http {
namespace {

using fixture::Gzip;
using fixture::Zstd;

constexpr size_t kMaxBytes = 100000;

absl::StatusOr<std::string> Decode(std::string_view encoding, const std::string& body) {
  server::MemoryBudget budget(10 * kMaxBytes);
  ContentDecoder decoder(kMaxBytes, budget);
  auto decoded = decoder.Decode(encoding, body);
  if (!decoded.ok()) return decoded.status();
  return std::string(*decoded);
}

TEST(ContentDecoderTest, LeavesPlainBodiesAlone) {
  EXPECT_EQ(*Decode("", "text"), "text");
  EXPECT_EQ(*Decode("identity", "text"), "text");
}

TEST(ContentDecoderTest, DecodesGzipOfOneMemberOrSeveral) {
  EXPECT_EQ(*Decode("gzip", Gzip("one")), "one");
  EXPECT_EQ(*Decode("GZIP", Gzip("one") + Gzip("") + Gzip("two")), "onetwo");
}

TEST(ContentDecoderTest, IgnoresTheEncodingOfAnEmptyBody) {
  EXPECT_EQ(*Decode("gzip", ""), "");
  EXPECT_EQ(*Decode("nonsense", ""), "");
}

TEST(ContentDecoderTest, ExactlyTheLimitPasses) {
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes, 'x')))->size(), kMaxBytes);
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes + 1, 'x'))).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Decode("gzip", Gzip(std::string(kMaxBytes, 'x')) + Gzip("y")).status().message(),
            "max request size (100000 bytes) exceeded");
}

TEST(ContentDecoderTest, ABombIsStoppedAtTheLimit) {
  EXPECT_EQ(Decode("gzip", Gzip(std::string(size_t{64} << 20, '\0'))).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ContentDecoderTest, RefusesDamagedGzip) {
  std::string good = Gzip("some text that is long enough");
  for (const std::string& bad :
       {good.substr(0, good.size() - 1), good.substr(0, 5), good + "x", std::string("plain")}) {
    EXPECT_EQ(Decode("gzip", bad).status().code(), absl::StatusCode::kInvalidArgument);
  }
  std::string corrupt = good;
  corrupt[corrupt.size() - 6] = static_cast<char>(corrupt[corrupt.size() - 6] ^ 1);
  EXPECT_EQ(Decode("gzip", corrupt).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ContentDecoderTest, RefusesOtherEncodings) {
  EXPECT_EQ(Decode("br", "x").status().message(),
            "unknown Content-Encoding 'br'; send the body as it is, or gzip or zstd");
}

TEST(ContentDecoderTest, DecodesZstdOfOneFrameOrSeveral) {
  EXPECT_EQ(*Decode("zstd", Zstd("one")), "one");
  EXPECT_EQ(*Decode("zstd", Zstd("one") + Zstd("") + Zstd("two")), "onetwo");
  EXPECT_EQ(Decode("zstd", Zstd(std::string(kMaxBytes, 'x')))->size(), kMaxBytes);
  EXPECT_EQ(Decode("zstd", Zstd(std::string(kMaxBytes + 1, 'x'))).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Decode("zstd", Zstd(std::string(size_t{256} << 20, '\0'))).status().code(),
            absl::StatusCode::kResourceExhausted);
}

TEST(ContentDecoderTest, RefusesDamagedZstd) {
  std::string good = Zstd("some text that is long enough");
  for (const std::string& bad :
       {good.substr(0, good.size() - 1), good.substr(0, 5), good + "x", std::string("plain")}) {
    EXPECT_EQ(Decode("zstd", bad).status().message(),
              "invalid zstd body: truncated, corrupt, or followed by something else");
  }
}

TEST(ContentDecoderTest, TakesItsMemoryFromTheBudgetAndGivesItBack) {
  server::MemoryBudget budget(kMaxBytes / 2);
  {
    std::string body = Gzip(std::string(kMaxBytes, 'x'));
    ContentDecoder decoder(kMaxBytes, budget);
    EXPECT_EQ(decoder.Decode("gzip", body).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_GT(budget.used_bytes(), 0u);
  }
  EXPECT_EQ(budget.used_bytes(), 0u);
}

}  // namespace
}  // namespace sluice::http

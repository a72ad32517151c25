#include "server/influx/error_response.h"

#include <gtest/gtest.h>

namespace sluice::influx {
namespace {

using http::Header;
using http::Response;

TEST(ErrorResponseTest, EveryCanonicalCodeHasItsHttpStatus) {
  const std::vector<std::pair<absl::StatusCode, int>> expected = {
      {absl::StatusCode::kInvalidArgument, 400},  {absl::StatusCode::kUnauthenticated, 401},
      {absl::StatusCode::kPermissionDenied, 401}, {absl::StatusCode::kNotFound, 404},
      {absl::StatusCode::kAlreadyExists, 409},    {absl::StatusCode::kResourceExhausted, 413},
      {absl::StatusCode::kInternal, 500},         {absl::StatusCode::kDataLoss, 500},
      {absl::StatusCode::kUnknown, 500},          {absl::StatusCode::kUnavailable, 503},
  };
  for (auto [code, status] : expected) EXPECT_EQ(HttpStatusOf(code), status) << code;
}

TEST(ErrorResponseTest, SaysCodeAndMessageAndRepeatsItInAHeader) {
  Response response = ToResponse(absl::NotFoundError("database \"x\" not found"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(response.body, R"({"code":"not found","message":"database \"x\" not found"})");
  EXPECT_EQ(response.headers,
            (std::vector<Header>{{"Content-Type", "application/json"},
                                 {"X-Influxdb-Error", "database \"x\" not found"}}));
}

TEST(ErrorResponseTest, TheHeaderHasTheFirstLineWithoutControlCharactersAndAtMostAKibibyte) {
  EXPECT_EQ(BadRequest("a\tb\r\nc").headers[1].second, "a b ");
  EXPECT_EQ(BadRequest(std::string(5000, 'x')).headers[1].second.size(), 1024u);
}

TEST(ErrorResponseTest, UnavailableTellsWhenToRetry) {
  EXPECT_EQ(ToResponse(absl::UnavailableError("x")).headers.back(), (Header{"Retry-After", "1"}));
}

TEST(ErrorResponseTest, TooLargeHasItsOwnWord) {
  EXPECT_EQ(ToResponse(absl::ResourceExhaustedError("max request size (7 bytes) exceeded")).body,
            R"({"code":"request too large","message":"max request size (7 bytes) exceeded"})");
}

}  // namespace
}  // namespace sluice::influx

#include "server/grpc/status.h"

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sluice::grpc_door {
namespace {

google::rpc::Status DetailsOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  return details;
}

ingest::Outcome OutcomeOf(int rejections, size_t message_bytes) {
  ingest::Outcome outcome;
  outcome.rejected = rejections;
  for (int i = 1; i <= rejections; ++i) {
    outcome.rejections.push_back(
        {.place = {.index = i - 1, .line = ingest::Place::Line{.number = i}},
         .message = std::string(message_bytes, 'x'),
         .table = "",
         .column = "",
         .excerpt = ""});
  }
  return outcome;
}

TEST(GrpcStatusTest, KeepsCodeAndMessage) {
  grpc::Status status = ToGrpc(absl::UnavailableError("later"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(status.error_message(), "later");
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
}

TEST(GrpcStatusTest, ABadRequestNamesTheField) {
  google::rpc::BadRequest bad_request;
  ASSERT_TRUE(DetailsOf(ToGrpc(absl::InvalidArgumentError("no"), "precision"))
                  .details(1)
                  .UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations(0).field(), "precision");
  EXPECT_EQ(bad_request.field_violations(0).description(), "no");
}

TEST(GrpcStatusTest, NotFoundNamesTheResource) {
  google::rpc::ResourceInfo info;
  ASSERT_TRUE(DetailsOf(ToGrpc(absl::NotFoundError("gone"), "database", "demo"))
                  .details(1)
                  .UnpackTo(&info));
  EXPECT_EQ(info.resource_type(), "database");
  EXPECT_EQ(info.resource_name(), "demo");
}

TEST(GrpcStatusTest, EveryErrorHasAReasonAndTheDomain) {
  for (const absl::Status& status :
       {absl::UnauthenticatedError("x"), absl::PermissionDeniedError("x"), absl::InternalError("x"),
        absl::ResourceExhaustedError("x"), absl::NotFoundError("x")}) {
    google::rpc::ErrorInfo info;
    ASSERT_TRUE(DetailsOf(ToGrpc(status)).details(0).UnpackTo(&info));
    EXPECT_EQ(info.reason(), absl::StatusCodeToString(status.code()));
    EXPECT_EQ(info.domain(), "sluice");
  }
}

TEST(GrpcStatusTest, UnavailableSaysWhenToTryAgain) {
  google::rpc::Status details = DetailsOf(ToGrpc(absl::UnavailableError("later")));
  google::rpc::RetryInfo retry;
  ASSERT_EQ(details.details_size(), 2);
  ASSERT_TRUE(details.details(1).UnpackTo(&retry));
  EXPECT_EQ(retry.retry_delay().seconds(), 1);
  EXPECT_EQ(DetailsOf(ToGrpc(absl::ResourceExhaustedError("large"))).details_size(), 1);
}

TEST(GrpcStatusTest, TellsTwentyRejectedLines) {
  google::rpc::BadRequest bad_request;
  google::rpc::ErrorInfo info;
  google::rpc::Status details = DetailsOf(RejectionStatus(OutcomeOf(50, 10), "line_protocol"));
  ASSERT_TRUE(details.details(0).UnpackTo(&info));
  EXPECT_EQ(info.metadata().at("rejected_points"), "50");
  ASSERT_TRUE(details.details(1).UnpackTo(&bad_request));
  EXPECT_EQ(bad_request.field_violations_size(), 20);
}

TEST(GrpcStatusTest, DetailsStayUnderFourKibibytesWhateverTheMessages) {
  for (size_t bytes : {1, 100, 255, 1000, 100000}) {
    for (int rejections : {1, 20, 100}) {
      grpc::Status status = RejectionStatus(OutcomeOf(rejections, bytes), "line_protocol");
      EXPECT_LT(status.error_details().size(), kMaxDetailBytes);
      EXPECT_LE(status.error_message().size(), 512u);
      google::rpc::BadRequest bad_request;
      ASSERT_TRUE(DetailsOf(status).details(1).UnpackTo(&bad_request));
      EXPECT_EQ(bad_request.field_violations_size(), std::min(rejections, 20));
    }
  }
}

TEST(GrpcStatusTest, EveryReasonHasItsProtoValue) {
  for (int i = 0; i <= static_cast<int>(ingest::Reason::kBeyondRetention); ++i) {
    EXPECT_EQ(static_cast<int>(ToProto(static_cast<ingest::Reason>(i))), i + 1);
  }
}

}  // namespace
}  // namespace sluice::grpc_door

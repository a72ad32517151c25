#ifndef SLUICE_SERVER_GRPC_STATUS_H_
#define SLUICE_SERVER_GRPC_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/ingest/outcome.h"
#include "sluice/v1/write.pb.h"

namespace sluice::grpc_door {

// All details of one status take less than this: larger trailers make stock clients lose it whole
// (contract W-3).
inline constexpr size_t kMaxDetailBytes = 4096;

// When to try again after UNAVAILABLE.
inline constexpr int kRetryDelayMs = 1000;

// A gRPC status with google.rpc details: ErrorInfo with the reason that `status` was made with
// (storage/reason.h), or else the code's name,
// INVALID_ARGUMENT a BadRequest about `field`, or the one that `status` names (bad_field.h),
// UNAVAILABLE a RetryInfo.
grpc::Status ToGrpc(const absl::Status& status, std::string_view field = "");

// As above; NOT_FOUND gets a ResourceInfo (W-6).
grpc::Status ToGrpc(const absl::Status& status, std::string_view resource_type,
                    std::string_view resource_name);

// INVALID_ARGUMENT for a write of which points were rejected, with ErrorInfo and a BadRequest of
// the first 20 of them (W-3). `field` is that of the points.
grpc::Status RejectionStatus(const ingest::Outcome& outcome, std::string_view field);

v1::RejectionReason ToProto(ingest::Reason reason);
v1::PointError ToProto(const ingest::Rejection& rejection);

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_STATUS_H_

#ifndef SLUICE_SERVER_GRPC_WRITE_ANSWER_H_
#define SLUICE_SERVER_GRPC_WRITE_ANSWER_H_

#include <grpcpp/support/status.h>

#include "absl/status/statusor.h"
#include "server/grpc/points_in.h"
#include "server/ingest/outcome.h"
#include "server/ingest/precision.h"
#include "sluice/v1/write.pb.h"

// What unary writes and streams have in common.

namespace sluice::grpc_door {

// InvalidArgument for one that is unknown.
absl::StatusOr<ingest::Precision> FromProto(v1::Precision precision);

void Fill(const ingest::Outcome& outcome, v1::WriteResponse& response);

// The status of a write to `database` that failed as a whole. What names no field is about the
// points.
grpc::Status WriteError(const absl::Status& status, const PointsIn& points,
                        std::string_view database);

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_ANSWER_H_

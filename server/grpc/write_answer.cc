#include "server/grpc/write_answer.h"

#include <fmt/format.h>

#include "server/grpc/status.h"

namespace sluice::grpc_door {

using ingest::Precision;

absl::StatusOr<Precision> FromProto(v1::Precision precision) {
  switch (precision) {
    case v1::PRECISION_UNSPECIFIED:
    case v1::PRECISION_NANOSECOND:
      return Precision::kNanosecond;
    case v1::PRECISION_MICROSECOND:
      return Precision::kMicrosecond;
    case v1::PRECISION_MILLISECOND:
      return Precision::kMillisecond;
    case v1::PRECISION_SECOND:
      return Precision::kSecond;
    case v1::PRECISION_AUTO:
      return Precision::kAuto;
    default:
      return absl::InvalidArgumentError(
          fmt::format("unknown precision {}", static_cast<int>(precision)));
  }
}

void Fill(const ingest::Outcome& outcome, v1::WriteResponse& response) {
  response.set_ingested_points(outcome.ingested);
  if (outcome.rejected == 0) return;
  response.set_rejected_points(outcome.rejected);
  for (const ingest::Rejection& rejection : outcome.rejections) {
    *response.add_errors() = ToProto(rejection);
  }
  response.mutable_rejected_index_deltas()->Assign(outcome.rejected_index_deltas.begin(),
                                                   outcome.rejected_index_deltas.end());
  for (const ingest::RejectionCount& count : outcome.counts) {
    v1::RejectionCount& to = *response.add_rejection_counts();
    to.set_reason(ToProto(count.reason));
    to.set_table(count.table);
    to.set_column(count.column);
    to.set_count(count.count);
    to.set_first_index(count.first_index);
  }
}

grpc::Status WriteError(const absl::Status& status, const PointsIn& points,
                        std::string_view database) {
  const bool no_database = absl::IsNotFound(status);
  return ToGrpc(status, no_database ? "database" : points.field(), database);
}

}  // namespace sluice::grpc_door

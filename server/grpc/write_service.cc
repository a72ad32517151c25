#include "server/grpc/write_service.h"

#include <fmt/format.h>

#include "server/grpc/status.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

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

void FillResponse(const ingest::Outcome& outcome, v1::WriteResponse& response) {
  response.set_ingested_points(outcome.ingested);
  response.set_rejected_lines(outcome.rejected);
  for (const ingest::Rejection& rejection : outcome.rejections) {
    v1::LineError& error = *response.add_line_errors();
    error.set_line_number(rejection.line_number);
    error.set_byte_begin(static_cast<int64_t>(rejection.begin));
    error.set_byte_end(static_cast<int64_t>(rejection.end));
    error.set_reason(ToProto(rejection.reason));
    error.set_message(rejection.message);
    error.set_table(rejection.table);
    error.set_column(rejection.column);
    error.set_excerpt(rejection.excerpt);
  }
}

}  // namespace

grpc::ServerUnaryReactor* WriteService::Write(grpc::CallbackServerContext* context,
                                              const v1::WriteRequest* request,
                                              v1::WriteResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  workers_.Post([this, request, response, reactor, arrival_ns = storage::NowNs()] {
    reactor->Finish(Handle(*request, arrival_ns, *response));
  });
  return reactor;
}

grpc::Status WriteService::Handle(const v1::WriteRequest& request, int64_t arrival_ns,
                                  v1::WriteResponse& response) const {
  auto database = storage::DatabaseName::Parse(request.database());
  if (!database.ok()) return ToGrpc(database.status(), "database");
  auto precision = FromProto(request.precision());
  if (!precision.ok()) return ToGrpc(precision.status(), "precision");
  absl::Status found = store_.FindDatabase(*database).status();
  if (!found.ok()) return ToGrpc(found, "database", request.database());
  if (request.line_protocol().size() > max_body_bytes_) {
    return ToGrpc(absl::ResourceExhaustedError(
        fmt::format("max request size ({} bytes) exceeded", max_body_bytes_)));
  }
  auto outcome = pipeline_.Write({
      .database = *database,
      .body = request.line_protocol(),
      .precision = *precision,
      .arrival_ns = arrival_ns,
      .accept_partial = !request.has_accept_partial() || request.accept_partial(),
      .no_sync = request.no_sync(),
  });
  if (absl::IsNotFound(outcome.status())) {
    return ToGrpc(outcome.status(), "database", request.database());
  }
  if (!outcome.ok()) return ToGrpc(outcome.status(), "line_protocol");
  bool partly = outcome->rejected > 0 && outcome->ingested > 0;
  if (outcome->ingested == 0 || (partly && request.partial_as_error())) {
    return RejectionStatus(*outcome);
  }
  FillResponse(*outcome, response);
  return grpc::Status::OK;
}

}  // namespace sluice::grpc_door

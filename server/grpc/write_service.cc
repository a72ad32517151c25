#include "server/grpc/write_service.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/lineprotocol/line_source.h"

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

void Fill(const std::vector<ingest::Rejection>& rejections,
          google::protobuf::RepeatedPtrField<v1::LineError>& to) {
  for (const ingest::Rejection& rejection : rejections) *to.Add() = ToProto(rejection);
}

}  // namespace

template <typename Request, typename Show>
grpc::ServerUnaryReactor* WriteService::Handle(grpc::CallbackServerContext* context,
                                               server::Act act, const Request& request,
                                               const ingest::WriteOptions& options, Show show) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Ending end(context, reactor);
  const std::string& body = request.line_protocol();
  const auto failed = [&request](const absl::Status& status, const char* field) {
    return ToGrpc(status, field, request.database());
  };
  const absl::StatusOr<Precision> precision = FromProto(request.precision());
  server::Claim claim = ClaimOf(*context, act, request.database(), precision.status());
  absl::StatusOr<server::Pass> pass = gate_.Admit(std::move(claim), PeerOf(*context));
  if (!pass.ok()) {
    end(failed(pass.status(), pass.status() == precision.status() ? "precision" : "database"));
    return reactor;
  }
  absl::Status taken = gate_.TakeBody(body.size(), max_body_bytes_, *pass);
  if (!taken.ok()) {
    end(failed(taken, "line_protocol"));
    return reactor;
  }
  ingest::WriteRequest write{.database = *pass->claim.database,
                             .points = std::make_unique<lineprotocol::LineSource>(body),
                             .precision = *precision,
                             .options = options,
                             .check_awaited = [context] { return CheckAwaited(*context); }};
  gate_.Write(
      *std::move(pass), std::move(write),
      [show, failed, end = std::move(end)](const absl::StatusOr<ingest::Outcome>& outcome) mutable {
        if (outcome.ok()) return end(show(*outcome));
        const bool no_database = absl::IsNotFound(outcome.status());
        end(failed(outcome.status(), no_database ? "database" : "line_protocol"));
      });
  return reactor;
}

grpc::ServerUnaryReactor* WriteService::Write(grpc::CallbackServerContext* context,
                                              const v1::WriteRequest* request,
                                              v1::WriteResponse* response) {
  const ingest::WriteOptions options{
      .accept_partial = !request->has_accept_partial() || request->accept_partial(),
      .no_sync = request->no_sync()};
  const auto show = [request, response](const ingest::Outcome& outcome) {
    bool partly = outcome.rejected > 0 && outcome.ingested > 0;
    if (outcome.ingested == 0 || (partly && request->partial_as_error())) {
      return RejectionStatus(outcome);
    }
    response->set_ingested_points(outcome.ingested);
    response->set_rejected_lines(outcome.rejected);
    Fill(outcome.rejections, *response->mutable_line_errors());
    return grpc::Status::OK;
  };
  return Handle(context, server::Act::kWrite, *request, options, show);
}

grpc::ServerUnaryReactor* WriteService::Validate(grpc::CallbackServerContext* context,
                                                 const v1::ValidateRequest* request,
                                                 v1::ValidateResponse* response) {
  const auto show = [response](const ingest::Outcome& outcome) {
    response->set_accepted_points(outcome.ingested);
    response->set_rejected_lines(outcome.rejected);
    Fill(outcome.rejections, *response->mutable_line_errors());
    return grpc::Status::OK;
  };
  return Handle(context, server::Act::kValidate, *request, {}, show);
}

}  // namespace sluice::grpc_door

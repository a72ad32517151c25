#include "server/grpc/write_service.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "storage/caught.h"
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

void Fill(const std::vector<ingest::Rejection>& rejections,
          google::protobuf::RepeatedPtrField<v1::LineError>& to) {
  for (const ingest::Rejection& rejection : rejections) *to.Add() = ToProto(rejection);
}

}  // namespace

template <typename Request>
WriteService::Admission WriteService::Admit(const grpc::CallbackServerContext& context,
                                            const Request& request, bool stores) const {
  auto principal = Identify(parts_.authority, context);
  if (!principal.ok()) return {principal.status()};
  auto database = storage::DatabaseName::Parse(request.database());
  if (!database.ok()) return {database.status()};
  auto precision = FromProto(request.precision());
  if (!precision.ok()) return {precision.status(), "precision"};
  absl::Status status = parts_.pipeline.CheckDatabase(*database);
  if (status.ok()) status = principal->MayWrite(request.database());
  if (status.ok() && stores) status = parts_.readiness.Check();
  if (status.ok() && request.line_protocol().size() > max_body_bytes_) {
    status = absl::ResourceExhaustedError(
        fmt::format("max request size ({} bytes) exceeded", max_body_bytes_));
  }
  if (status.ok()) status = CheckAwaited(context);
  auto share = std::make_unique<server::MemoryBudget::Share>(parts_.bodies);
  if (status.ok()) status = share->GrowBody(request.line_protocol().size());
  if (!status.ok()) return {status};
  return {absl::OkStatus(), "line_protocol", std::move(share),
          ingest::WriteRequest{.database = *std::move(database),
                               .body = request.line_protocol(),
                               .precision = *precision,
                               .arrival_ns = storage::NowNs(),
                               .origin = {kDoor, principal->name(), PeerOf(context)},
                               .should_stop = [&context] { return !CheckAwaited(context).ok(); }}};
}

// `run` hands the write to the pipeline, `answer` makes the response of its outcome.
template <typename Request, typename Run, typename Answer>
grpc::ServerUnaryReactor* WriteService::Handle(grpc::CallbackServerContext* context,
                                               const Request& request, bool stores, Run run,
                                               Answer answer) {
  const auto start = std::chrono::steady_clock::now();
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  auto finish = [this, context, reactor, &request, start, answer](
                    const absl::StatusOr<ingest::Outcome>& outcome, const char* field) {
    metrics_.Observe(outcome, request.line_protocol().size(),
                     std::chrono::steady_clock::now() - start);
    Finish(context, reactor,
           outcome.ok() ? answer(*outcome) : ToGrpc(outcome.status(), field, request.database()));
  };
  Admission admission = Admit(*context, request, stores);
  if (!admission.status.ok()) {
    finish(admission.status, admission.field);
    return reactor;
  }
  parts_.write_workers.Post([this, context, run, finish, admission = std::move(admission)] {
    absl::Status awaited = CheckAwaited(*context);
    server::MemoryBudget::Share judging(parts_.judging);
    ingest::WriteRequest write = *admission.write;
    write.memory = &judging;
    auto outcome = storage::Caught(
        [&]() -> absl::StatusOr<ingest::Outcome> { return awaited.ok() ? run(write) : awaited; });
    finish(outcome, absl::IsNotFound(outcome.status()) ? "database" : admission.field);
  });
  return reactor;
}

grpc::ServerUnaryReactor* WriteService::Write(grpc::CallbackServerContext* context,
                                              const v1::WriteRequest* request,
                                              v1::WriteResponse* response) {
  auto run = [this, request](ingest::WriteRequest write) {
    write.accept_partial = !request->has_accept_partial() || request->accept_partial();
    write.no_sync = request->no_sync();
    return parts_.pipeline.Write(write);
  };
  auto answer = [request, response](const ingest::Outcome& outcome) {
    bool partly = outcome.rejected > 0 && outcome.ingested > 0;
    if (outcome.ingested == 0 || (partly && request->partial_as_error())) {
      return RejectionStatus(outcome);
    }
    response->set_ingested_points(outcome.ingested);
    response->set_rejected_lines(outcome.rejected);
    Fill(outcome.rejections, *response->mutable_line_errors());
    return grpc::Status::OK;
  };
  return Handle(context, *request, true, run, answer);
}

grpc::ServerUnaryReactor* WriteService::Validate(grpc::CallbackServerContext* context,
                                                 const v1::ValidateRequest* request,
                                                 v1::ValidateResponse* response) {
  auto run = [this](const ingest::WriteRequest& write) { return parts_.pipeline.Validate(write); };
  auto answer = [response](const ingest::Outcome& outcome) {
    response->set_accepted_points(outcome.ingested);
    response->set_rejected_lines(outcome.rejected);
    Fill(outcome.rejections, *response->mutable_line_errors());
    return grpc::Status::OK;
  };
  return Handle(context, *request, false, run, answer);
}

}  // namespace sluice::grpc_door

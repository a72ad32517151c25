#include "server/grpc/write_service.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <memory>
#include <utility>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/grpc/write_answer.h"

namespace sluice::grpc_door {
namespace {

// A request apart from its points, both good as long as this stays where it is.
template <typename Request>
struct Arrived {
  grpc::Slice bytes;
  Request request;
  PointsIn points;
};

ingest::WriteOptions OptionsOf(const v1::WriteRequest& request) {
  return {.accept_partial = !request.has_accept_partial() || request.accept_partial(),
          .no_sync = request.no_sync()};
}
ingest::WriteOptions OptionsOf(const v1::ValidateRequest&) { return {}; }

grpc::Status Serialize(const google::protobuf::Message& message, grpc::ByteBuffer& to) {
  bool owned = false;
  return grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::Message>(message, &to,
                                                                                    &owned);
}

}  // namespace

template <typename Request, typename Show>
grpc::ServerUnaryReactor* WriteService::Handle(grpc::CallbackServerContext* context,
                                               server::Act act, const grpc::ByteBuffer& message,
                                               const PointsFields& fields, Show show) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  Ending end(context, reactor);
  auto arrived = std::make_unique<Arrived<Request>>();
  // The call's own, which nobody reads again: it is not to hold the bytes a second time.
  arrived->bytes = TakeBytes(const_cast<grpc::ByteBuffer&>(message));
  absl::StatusOr<PointsIn> points = ParseApart(ViewOf(arrived->bytes), fields, arrived->request);
  if (points.ok()) arrived->points = *points;
  const std::string& database = arrived->request.database();
  absl::StatusOr<ingest::Precision> precision = FromProto(arrived->request.precision());
  server::Claim claim = ClaimOf(*context, act, database, precision.status());
  if (!points.ok()) claim.parameters = points.status();
  absl::StatusOr<server::Pass> pass = gate_.Admit(std::move(claim), PeerOf(*context));
  if (!pass.ok()) {
    const char* field = !points.ok()                          ? "request"
                        : pass.status() == precision.status() ? "precision"
                                                              : "database";
    end(ToGrpc(pass.status(), field, database));
    return reactor;
  }
  absl::Status taken = gate_.TakeBody(arrived->points.bytes.size(), max_body_bytes_, *pass);
  if (!taken.ok()) {
    end(WriteError(taken, arrived->points, database));
    return reactor;
  }
  std::unique_ptr<ingest::PointSource> source = arrived->points.MakeSource();
  ingest::WriteRequest write{.database = *pass->claim.database,
                             .precision = *precision,
                             .options = OptionsOf(arrived->request),
                             .check_awaited = [context] { return CheckAwaited(*context); }};
  gate_.WriteOne(*std::move(pass), std::move(source), std::move(write),
                 [show, arrived = std::move(arrived),
                  end = std::move(end)](const absl::StatusOr<ingest::Outcome>& outcome) mutable {
                   if (outcome.ok()) return end(show(*outcome, *arrived));
                   end(WriteError(outcome.status(), arrived->points, arrived->request.database()));
                 });
  return reactor;
}

grpc::ServerUnaryReactor* WriteService::Write(grpc::CallbackServerContext* context,
                                              const grpc::ByteBuffer* request,
                                              grpc::ByteBuffer* response) {
  const auto show = [response](const ingest::Outcome& outcome,
                               const Arrived<v1::WriteRequest>& arrived) {
    const bool partly = outcome.rejected > 0 && outcome.ingested > 0;
    const bool error = outcome.ingested == 0 || (partly && arrived.request.partial_as_error());
    if (error && !arrived.request.rejections_in_response()) {
      return RejectionStatus(outcome, arrived.points.field());
    }
    v1::WriteResponse answer;
    Fill(outcome, answer);
    return Serialize(answer, *response);
  };
  return Handle<v1::WriteRequest>(context, server::Act::kWrite, *request, kWriteRequestPoints,
                                  show);
}

grpc::ServerUnaryReactor* WriteService::Validate(grpc::CallbackServerContext* context,
                                                 const grpc::ByteBuffer* request,
                                                 grpc::ByteBuffer* response) {
  const auto show = [response](const ingest::Outcome& outcome,
                               const Arrived<v1::ValidateRequest>&) {
    v1::ValidateResponse answer;
    Fill(outcome, *answer.mutable_outcome());
    return Serialize(answer, *response);
  };
  return Handle<v1::ValidateRequest>(context, server::Act::kValidate, *request,
                                     kValidateRequestPoints, show);
}

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* WriteService::WriteStream(
    grpc::CallbackServerContext* context) {
  return streams_->Open(context);
}

}  // namespace sluice::grpc_door

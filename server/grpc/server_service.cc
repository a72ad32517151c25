#include "server/grpc/server_service.h"

#include <utility>

#include "server/grpc/call.h"
#include "server/grpc/status.h"
#include "server/grpc/write_stream.h"
#include "server/ingest/limits.h"
#include "server/typed/row_source.h"

namespace sluice::grpc_door {
namespace {

void SetNs(int64_t ns, google::protobuf::Timestamp& to) {
  to.set_seconds(ns / 1'000'000'000);
  to.set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
}

}  // namespace

ServerService::ServerService(const server::Parts& parts, std::string version, size_t max_body_bytes,
                             size_t max_message_bytes)
    : parts_(parts) {
  about_.set_version(std::move(version));
  for (const char* feature : {"rows", "columns", "write_stream", "writer_id", "request_id",
                              "rejections_in_response", "paging", "gzip"}) {
    about_.add_features(feature);
  }
  v1::GetServerInfoResponse::Limits& limits = *about_.mutable_limits();
  limits.set_max_batch_bytes(static_cast<int64_t>(max_body_bytes));
  limits.set_max_message_bytes(static_cast<int64_t>(max_message_bytes));
  limits.set_max_batch_points(typed::kMaxBatchPoints);
  limits.set_max_stream_window_bytes(kWindowBytes);
  limits.set_max_stream_window_batches(kWindowBatches);
  limits.set_max_name_bytes(ingest::kMaxNameBytes);
  limits.set_max_string_bytes(ingest::kMaxStringBytes);
  limits.set_max_tables(static_cast<int32_t>(parts.pipeline.limits().max_tables));
  limits.set_max_columns(static_cast<int32_t>(parts.pipeline.limits().max_columns));
}

grpc::ServerUnaryReactor* ServerService::GetServerInfo(grpc::CallbackServerContext* context,
                                                       const v1::GetServerInfoRequest*,
                                                       v1::GetServerInfoResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const auth::Credential credential = CredentialOf(parts_, *context);
  const absl::StatusOr<auth::Principal> principal = parts_.gate.Identify(credential);
  if (credential.token && !principal.ok()) {
    Finish(context, reactor, ToGrpc(principal.status()));
    return reactor;
  }
  if (principal.ok()) {
    const absl::Status taken = principal->TakeRequest(storage::NowNs());
    if (!taken.ok()) {
      Finish(context, reactor, ToGrpc(taken));
      return reactor;
    }
  }
  *response = about_;
  SetNs(storage::NowNs(), *response->mutable_current_time());
  if (principal.ok()) {
    response->set_principal(principal->name());
    response->set_instance_id(parts_.store.InstanceId());
    SetNs(start_ns_, *response->mutable_start_time());
  }
  Finish(context, reactor, grpc::Status::OK);
  return reactor;
}

}  // namespace sluice::grpc_door

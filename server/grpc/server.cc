#include "server/grpc/server.h"

#include <fmt/format.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include "server/grpc/admin_service.h"
#include "server/grpc/query_service.h"
#include "server/grpc/write_service.h"

namespace sluice::grpc_door {
namespace {

// What a message may have besides the body.
constexpr size_t kMessageSlackBytes = 64 << 10;
// Of one connection: gRPC reads a message whole before anyone is asked.
constexpr int kMaxStreams = 100;
constexpr int kMaxIdleMs = 300'000;
// What gRPC needs for itself and a few large messages, besides the budget: messages that have come
// are refused by that, with UNAVAILABLE, before gRPC cuts off those that are on their way.
constexpr size_t kMinQuotaBytes = size_t{32} << 20;

class GrpcServer : public Server {
 public:
  GrpcServer(const ServerOptions& options, const server::Parts& parts)
      : write_(parts, options.max_body_bytes),
        query_(parts, options.query_timeout),
        admin_(parts),
        quota_bytes_(parts.budget.max_bytes() + kMinQuotaBytes) {}
  ~GrpcServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen(const ServerOptions& options);

  int port() const override { return port_; }
  void SetNotServing() override { server_->GetHealthCheckService()->SetServingStatus(false); }
  void Stop(std::chrono::milliseconds grace) override {
    if (server_ == nullptr) return;
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    server_->Wait();
  }

 private:
  WriteService write_;
  QueryService query_;
  AdminService admin_;
  const size_t quota_bytes_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

absl::Status GrpcServer::Listen(const ServerOptions& options) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddListeningPort(options.address, grpc::InsecureServerCredentials(), &port_);
  // Two servers must not share a port unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxIdleMs);
  // gRPC looks at the size of a compressed message when it has decompressed it, and a small one can
  // be a large one. Nor may messages that are on their way take what memory there is.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  builder.SetResourceQuota(grpc::ResourceQuota("sluice").Resize(quota_bytes_));
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_body_bytes + kMessageSlackBytes));
  builder.RegisterService(&write_);
  builder.RegisterService(&query_);
  builder.RegisterService(&admin_);
  server_ = builder.BuildAndStart();
  if (server_ != nullptr && port_ != 0) return absl::OkStatus();
  return absl::UnavailableError(
      fmt::format("cannot listen for gRPC on {} (is it in use?)", options.address));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const server::Parts& parts) {
  auto server = std::make_unique<GrpcServer>(options, parts);
  absl::Status listening = server->Listen(options);
  if (!listening.ok()) return listening;
  return server;
}

}  // namespace sluice::grpc_door

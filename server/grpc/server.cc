#include "server/grpc/server.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/logging.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <spdlog/spdlog.h>

#include <atomic>

#include "server/grpc/admin_service.h"
#include "server/grpc/call.h"
#include "server/grpc/calls.h"
#include "server/grpc/credentials.h"
#include "server/grpc/health_service.h"
#include "server/grpc/query_service.h"
#include "server/grpc/reflection_service.h"
#include "server/grpc/server_service.h"
#include "server/grpc/status.h"
#include "server/grpc/write_service.h"
#include "storage/reason.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {
namespace {

// What a message may have besides the body.
constexpr size_t kMessageSlackBytes = 64 << 10;
// Of one connection: gRPC reads a message whole before anyone is asked.
constexpr int kMaxStreams = 100;
constexpr int kMaxIdleMs = 300'000;
constexpr int kMinPingMs = 1'000;
// A client that is gone without a word is found out by these pings.
constexpr int kPingMs = 60'000;
constexpr int kPingTimeoutMs = 20'000;
// What is under way on a connection that has become too old.
constexpr int kMaxAgeGraceMs = 60'000;
constexpr int64_t kLogPeriodNs = 60'000'000'000;
// What gRPC needs for itself and a few large messages, besides twice the budget of bodies: messages
// that have come are refused by that, with UNAVAILABLE, before gRPC cuts off those that are on
// their way.
constexpr size_t kMinQuotaBytes = size_t{32} << 20;
// Of gRPC's own reflection service alone, whose streams have a thread each.
constexpr int kMaxSyncThreads = 32;

class GrpcServer : public Server {
 public:
  GrpcServer(const ServerOptions& options, const server::Parts& parts)
      : credentials_(MakeCredentials(options.certificates, options.clients)),
        write_(parts, {.max_batch_bytes = options.max_body_bytes,
                       .max_message_bytes = options.max_body_bytes + kMessageSlackBytes,
                       .max_age = options.max_connection_age}),
        query_(parts, options.query_timeout),
        admin_(parts),
        about_(parts, options.version, options.max_body_bytes,
               options.max_body_bytes + kMessageSlackBytes),
        health_(&parts.readiness),
        calls_(parts.requests, parts.answers),
        quota_bytes_(2 * parts.bodies.max_bytes() + kMinQuotaBytes) {}
  ~GrpcServer() override { Stop(std::chrono::milliseconds(0)); }

  absl::Status Listen(const ServerOptions& options);

  int port() const override { return port_; }
  void Drain(std::chrono::milliseconds grace) override { write_.streams().Drain(grace); }
  bool WaitForCalls(std::chrono::milliseconds grace) override {
    return calls_.WaitForThoseUnderWay(grace);
  }
  void Stop(std::chrono::milliseconds grace) override {
    if (server_ == nullptr) return;
    health_.Stop();
    server_->Shutdown(std::chrono::system_clock::now() + grace);
    server_->Wait();
  }

 private:
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  WriteService write_;
  QueryService query_;
  AdminService admin_;
  ServerService about_;
  HealthService health_;
  ReflectionService reflection_{
      {v1::WriteService::service_full_name(), v1::QueryService::service_full_name(),
       v1::AdminService::service_full_name(), v1::ServerService::service_full_name(),
       grpc::health::v1::Health::service_full_name(),
       grpc::reflection::v1::ServerReflection::service_full_name()}};
  Calls calls_;
  const size_t quota_bytes_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// What every server of ours is built with.
void SetUp(const std::string& address, const std::shared_ptr<grpc::ServerCredentials>& credentials,
           int* port, grpc::ServerBuilder& builder) {
  grpc::EnableDefaultHealthCheckService(false);
  builder.AddListeningPort(address, credentials, port);
  // Two servers must not share a port unnoticed.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kMaxIdleMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  // Clients may ask as often as this whether the connection lives, also when they have no call.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
}

absl::Status CannotListen(const std::string& address) {
  return absl::UnavailableError(
      fmt::format("cannot listen for gRPC on {} (is it in use?)", address));
}

absl::Status GrpcServer::Listen(const ServerOptions& options) {
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetUp(options.address, credentials_, &port_, builder);
  builder.experimental().SetInterceptorCreators(calls_.MakeFactory());
  // gRPC looks at the size of a compressed message when it has decompressed it, and a small one can
  // be a large one: those that may be compressed are decompressed by who reads them (points_in.h).
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  // Messages that are on their way may not take what memory there is.
  builder.SetResourceQuota(
      grpc::ResourceQuota("sluice").Resize(quota_bytes_).SetMaxThreads(kMaxSyncThreads));
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.max_body_bytes + kMessageSlackBytes));
  builder.RegisterService(&write_);
  builder.RegisterService(&query_);
  builder.RegisterService(&admin_);
  builder.RegisterService(&about_);
  builder.RegisterService(&health_);
  builder.RegisterService(&reflection_);
  if (options.max_connection_age.count() > 0) {
    const int age_ms = static_cast<int>(options.max_connection_age.count());
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, age_ms);
    // Streams are told in time and end by themselves, also those that began on an old connection.
    builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS,
                               age_ms + age_ms / 4 + kMaxAgeGraceMs);
  }
  server_ = builder.BuildAndStart();
  return server_ != nullptr && port_ != 0 ? absl::OkStatus() : CannotListen(options.address);
}

// Answers every call that no service of the server has.
class NotYet : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    class Reactor : public grpc::ServerGenericBidiReactor {
     public:
      void OnDone() override { delete this; }
    };
    auto* reactor = new Reactor();
    Finish(
        context, reactor,
        ToGrpc(storage::WithReason(absl::UnavailableError("the server is starting"), "STARTING")));
    return reactor;
  }
};

class GrpcStartingServer : public StartingServer {
 public:
  explicit GrpcStartingServer(const ServerOptions& options)
      : credentials_(MakeCredentials(options.certificates, options.clients)) {}
  ~GrpcStartingServer() override {
    if (server_ == nullptr) return;
    health_.Stop();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  absl::Status Listen(const std::string& address) {
    grpc::ServerBuilder builder;
    SetUp(address, credentials_, &port_, builder);
    builder.RegisterService(&health_);
    builder.RegisterCallbackGenericService(&not_yet_);
    server_ = builder.BuildAndStart();
    return server_ != nullptr && port_ != 0 ? absl::OkStatus() : CannotListen(address);
  }
  int port() const override { return port_; }

 private:
  const std::shared_ptr<grpc::ServerCredentials> credentials_;
  HealthService health_{nullptr};
  NotYet not_yet_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// What is no message is the client's mistake, and told to it. libprotobuf would also tell the log,
// once for each.
void QuietProtobuf() {
  google::protobuf::SetLogHandler(
      [](google::protobuf::LogLevel level, const char* file, int line, const std::string& message) {
        if (level < google::protobuf::LOGLEVEL_ERROR) return;
        static std::atomic<int64_t> next_ns = 0;
        const int64_t now_ns = storage::NowNs();
        int64_t due_ns = next_ns;
        if (now_ns < due_ns || !next_ns.compare_exchange_strong(due_ns, now_ns + kLogPeriodNs))
          return;
        spdlog::warn("protobuf, {}:{}: {} (at most one of these a minute)", file, line, message);
      });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const server::Parts& parts) {
  QuietProtobuf();
  auto server = std::make_unique<GrpcServer>(options, parts);
  absl::Status listening = server->Listen(options);
  if (!listening.ok()) return listening;
  return server;
}

absl::StatusOr<std::unique_ptr<StartingServer>> StartingServer::Start(
    const ServerOptions& options) {
  auto server = std::make_unique<GrpcStartingServer>(options);
  absl::Status listening = server->Listen(options.address);
  if (!listening.ok()) return listening;
  return server;
}

}  // namespace sluice::grpc_door

#ifndef SLUICE_SERVER_GRPC_HEALTH_SERVICE_H_
#define SLUICE_SERVER_GRPC_HEALTH_SERVICE_H_

#include <array>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/gate/readiness.h"

namespace sluice::grpc_door {

// The standard health service (contract W-94), by the name of a service: `liveness`, which is
// always SERVING; `sluice.v1.WriteService`, as /ready; `sluice.v1.QueryService` and
// `sluice.v1.AdminService`; and the empty name, SERVING while one of them is. Each open watch is
// told of a change within a tenth of a second.
class HealthService final : public grpc::health::v1::Health::CallbackService {
 public:
  // Null while the server starts: then only `liveness` is SERVING. It must outlive the service.
  explicit HealthService(const server::Readiness* readiness);
  ~HealthService() override;

  grpc::ServerUnaryReactor* Check(grpc::CallbackServerContext* context,
                                  const grpc::health::v1::HealthCheckRequest* request,
                                  grpc::health::v1::HealthCheckResponse* response) override;
  grpc::ServerWriteReactor<grpc::health::v1::HealthCheckResponse>* Watch(
      grpc::CallbackServerContext* context,
      const grpc::health::v1::HealthCheckRequest* request) override;

  // Ends all watches, those to come too.
  void Stop();

 private:
  using ServingStatus = grpc::health::v1::HealthCheckResponse::ServingStatus;
  class Watcher;

  // SERVICE_UNKNOWN for a name that is none of ours.
  ServingStatus StatusOf(std::string_view service) const;
  void TellAll();

  const server::Readiness* const readiness_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::set<Watcher*> watchers_;
  std::jthread teller_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_HEALTH_SERVICE_H_

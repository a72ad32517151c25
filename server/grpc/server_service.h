#ifndef SLUICE_SERVER_GRPC_SERVER_SERVICE_H_
#define SLUICE_SERVER_GRPC_SERVER_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "server/gate/parts.h"
#include "sluice/v1/server.grpc.pb.h"
#include "storage/timestamp.h"

namespace sluice::grpc_door {

class ServerService final : public v1::ServerService::CallbackService {
 public:
  // `parts` must outlive it.
  ServerService(const server::Parts& parts, std::string version, size_t max_body_bytes,
                size_t max_message_bytes);

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::GetServerInfoResponse* response) override;

 private:
  const server::Parts& parts_;
  const int64_t start_ns_ = storage::NowNs();
  // What everyone may know.
  v1::GetServerInfoResponse about_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_SERVER_SERVICE_H_

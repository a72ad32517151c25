#ifndef SLUICE_SERVER_GRPC_QUERY_SERVICE_H_
#define SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

#include <chrono>

#include "server/gate/parts.h"
#include "sluice/v1/query.grpc.pb.h"

namespace sluice::grpc_door {

class QueryService final : public v1::QueryService::CallbackService {
 public:
  // `parts` must outlive it.
  QueryService(const server::Parts& parts, std::chrono::milliseconds timeout)
      : parts_(parts), timeout_(timeout) {}

  grpc::ServerWriteReactor<v1::QueryResponse>* Query(grpc::CallbackServerContext* context,
                                                     const v1::QueryRequest* request) override;

 private:
  const server::Parts& parts_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

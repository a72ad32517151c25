#ifndef SLUICE_SERVER_GRPC_QUERY_SERVICE_H_
#define SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

#include <chrono>

#include "server/workers.h"
#include "sluice/v1/query.grpc.pb.h"
#include "storage/store.h"

namespace sluice::grpc_door {

class QueryService final : public v1::QueryService::CallbackService {
 public:
  // The references must outlive it.
  QueryService(const storage::Store& store, server::Workers& workers,
               std::chrono::milliseconds timeout)
      : store_(store), workers_(workers), timeout_(timeout) {}

  grpc::ServerWriteReactor<v1::QueryResponse>* Query(grpc::CallbackServerContext* context,
                                                     const v1::QueryRequest* request) override;

 private:
  const storage::Store& store_;
  server::Workers& workers_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

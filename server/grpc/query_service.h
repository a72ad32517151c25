#ifndef SLUICE_SERVER_GRPC_QUERY_SERVICE_H_
#define SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

#include <chrono>

#include "server/auth/authority.h"
#include "server/ingest/rejection_log.h"
#include "server/workers.h"
#include "sluice/v1/query.grpc.pb.h"
#include "storage/store.h"

namespace sluice::grpc_door {

// What the service is made of; all must outlive it.
struct QueryParts {
  const storage::Store& store;
  const ingest::RejectionLog& rejections;
  const auth::Authority& authority;
  server::Workers& workers;
};

class QueryService final : public v1::QueryService::CallbackService {
 public:
  QueryService(const QueryParts& parts, std::chrono::milliseconds timeout)
      : parts_(parts), timeout_(timeout) {}

  grpc::ServerWriteReactor<v1::QueryResponse>* Query(grpc::CallbackServerContext* context,
                                                     const v1::QueryRequest* request) override;

 private:
  const QueryParts parts_;
  const std::chrono::milliseconds timeout_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_QUERY_SERVICE_H_

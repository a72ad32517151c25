#ifndef SLUICE_SERVER_GRPC_WRITE_SERVICE_H_
#define SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

#include "server/ingest/pipeline.h"
#include "server/workers.h"
#include "sluice/v1/write.grpc.pb.h"
#include "storage/store.h"

namespace sluice::grpc_door {

class WriteService final : public v1::WriteService::CallbackService {
 public:
  // The references must outlive it.
  WriteService(const storage::Store& store, const ingest::Pipeline& pipeline,
               server::Workers& workers, size_t max_body_bytes)
      : store_(store), pipeline_(pipeline), workers_(workers), max_body_bytes_(max_body_bytes) {}

  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const v1::WriteRequest* request,
                                  v1::WriteResponse* response) override;

 private:
  grpc::Status Handle(const v1::WriteRequest& request, int64_t arrival_ns,
                      v1::WriteResponse& response) const;

  const storage::Store& store_;
  const ingest::Pipeline& pipeline_;
  server::Workers& workers_;
  const size_t max_body_bytes_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

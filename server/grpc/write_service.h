#ifndef SLUICE_SERVER_GRPC_WRITE_SERVICE_H_
#define SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

#include <cstddef>

#include "server/gate/parts.h"
#include "server/gate/write_gate.h"
#include "sluice/v1/write.grpc.pb.h"

namespace sluice::grpc_door {

class WriteService final : public v1::WriteService::CallbackService {
 public:
  // `parts` must outlive it.
  WriteService(const server::Parts& parts, size_t max_body_bytes)
      : gate_(parts, "grpc"), max_body_bytes_(max_body_bytes) {}

  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const v1::WriteRequest* request,
                                  v1::WriteResponse* response) override;
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context,
                                     const v1::ValidateRequest* request,
                                     v1::ValidateResponse* response) override;

 private:
  // A call of Write or Validate, from its arrival to its answer. `show` makes the response, or the
  // status, of what became of the points.
  template <typename Request, typename Show>
  grpc::ServerUnaryReactor* Handle(grpc::CallbackServerContext* context, server::Act act,
                                   const Request& request, const ingest::WriteOptions& options,
                                   Show show);

  const server::WriteGate gate_;
  const size_t max_body_bytes_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

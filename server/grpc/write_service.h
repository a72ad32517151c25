#ifndef SLUICE_SERVER_GRPC_WRITE_SERVICE_H_
#define SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

#include <chrono>
#include <cstddef>
#include <memory>

#include "server/gate/parts.h"
#include "server/gate/write_gate.h"
#include "server/grpc/points_in.h"
#include "server/grpc/request_ids.h"
#include "server/grpc/write_stream.h"
#include "sluice/v1/write.grpc.pb.h"

namespace sluice::grpc_door {

// Messages come as bytes: see points_in.h.
using RawWriteService =
    v1::WriteService::WithRawCallbackMethod_Write<v1::WriteService::WithRawCallbackMethod_Validate<
        v1::WriteService::WithRawCallbackMethod_WriteStream<v1::WriteService::Service>>>;

class WriteService final : public RawWriteService {
 public:
  // `parts` must outlive it.
  WriteService(const server::Parts& parts, const WriteStreamOptions& options)
      : parts_(parts),
        gate_(parts, "grpc"),
        bodies_(parts.bodies),
        max_body_bytes_(options.max_batch_bytes),
        max_message_bytes_(options.max_message_bytes),
        store_(parts.store),
        request_ids_(parts.bodies.max_bytes() / 2),
        streams_(std::make_shared<WriteStreams>(parts, options)) {
    parts.metrics.AddGauge("sluice_write_streams", "Open streams of writes.",
                           [streams = streams_] { return static_cast<double>(streams->size()); });
  }

  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const grpc::ByteBuffer* request,
                                  grpc::ByteBuffer* response) override;
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context,
                                     const grpc::ByteBuffer* request,
                                     grpc::ByteBuffer* response) override;
  grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* WriteStream(
      grpc::CallbackServerContext* context) override;

  WriteStreams& streams() { return *streams_; }

 private:
  // A call of Write or Validate, from its arrival to its answer. `answer` makes that of what became
  // of the points, `tell` puts it into the response.
  template <typename Request, typename Answer, typename Tell>
  grpc::ServerUnaryReactor* Handle(grpc::CallbackServerContext* context, server::Act act,
                                   const grpc::ByteBuffer& message, const PointsFields& fields,
                                   Answer answer, Tell tell);

  const server::Parts& parts_;
  const server::WriteGate gate_;
  server::MemoryBudget& bodies_;
  const size_t max_body_bytes_;
  const size_t max_message_bytes_;
  const storage::Store& store_;
  RequestIds request_ids_;
  const std::shared_ptr<WriteStreams> streams_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

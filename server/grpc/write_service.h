#ifndef SLUICE_SERVER_GRPC_WRITE_SERVICE_H_
#define SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

#include <memory>
#include <optional>

#include "server/parts.h"
#include "sluice/v1/write.grpc.pb.h"

namespace sluice::grpc_door {

class WriteService final : public v1::WriteService::CallbackService {
 public:
  // `parts` must outlive it.
  WriteService(const server::Parts& parts, size_t max_body_bytes)
      : parts_(parts), metrics_(parts.metrics.AddDoor(kDoor)), max_body_bytes_(max_body_bytes) {}

  grpc::ServerUnaryReactor* Write(grpc::CallbackServerContext* context,
                                  const v1::WriteRequest* request,
                                  v1::WriteResponse* response) override;
  grpc::ServerUnaryReactor* Validate(grpc::CallbackServerContext* context,
                                     const v1::ValidateRequest* request,
                                     v1::ValidateResponse* response) override;

 private:
  // What became of a call before it went to a worker.
  struct Admission {
    absl::Status status;
    // The field that an error is about.
    const char* field = "database";
    // Of the memory that the body takes.
    std::unique_ptr<server::MemoryBudget::Share> share = nullptr;
    // There if `status` is OK.
    std::optional<ingest::WriteRequest> write = std::nullopt;
  };

  // Everything that can be said without looking at the body, in the order of contract W-14. Nothing
  // is done for a call that nobody waits for. `stores` says whether it is to write.
  template <typename Request>
  Admission Admit(const grpc::CallbackServerContext& context, const Request& request,
                  bool stores) const;
  template <typename Request, typename Run, typename Answer>
  grpc::ServerUnaryReactor* Handle(grpc::CallbackServerContext* context, const Request& request,
                                   bool stores, Run run, Answer answer);

  static constexpr char kDoor[] = "grpc";

  const server::Parts& parts_;
  observability::WriteMetrics& metrics_;
  const size_t max_body_bytes_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_WRITE_SERVICE_H_

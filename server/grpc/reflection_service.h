#ifndef SLUICE_SERVER_GRPC_REFLECTION_SERVICE_H_
#define SLUICE_SERVER_GRPC_REFLECTION_SERVICE_H_

#include <string>
#include <utility>
#include <vector>

#include "grpc/reflection/v1/reflection.grpc.pb.h"

namespace sluice::grpc_door {

// Server reflection, v1 (github.com/grpc/grpc/blob/master/doc/server-reflection.md). The gRPC that
// Debian has comes with v1alpha alone, which newer tools no longer ask for first.
class ReflectionService final : public grpc::reflection::v1::ServerReflection::CallbackService {
 public:
  // `services` are all that the server has, by their full names.
  explicit ReflectionService(std::vector<std::string> services) : services_(std::move(services)) {}

  grpc::ServerBidiReactor<grpc::reflection::v1::ServerReflectionRequest,
                          grpc::reflection::v1::ServerReflectionResponse>*
  ServerReflectionInfo(grpc::CallbackServerContext* context) override;

 private:
  const std::vector<std::string> services_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_REFLECTION_SERVICE_H_

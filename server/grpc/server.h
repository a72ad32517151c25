#ifndef SLUICE_SERVER_GRPC_SERVER_H_
#define SLUICE_SERVER_GRPC_SERVER_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/parts.h"

namespace sluice::grpc_door {

struct ServerOptions {
  // host:port; port 0 takes a free one.
  std::string address = "127.0.0.1:8182";
  // Of a write's line protocol (contract W-38).
  size_t max_body_bytes = size_t{10} << 20;
  std::chrono::milliseconds query_timeout = std::chrono::minutes(5);
};

// A gRPC server of the services in proto/sluice/v1, with reflection and the standard health
// service.
class Server {
 public:
  // Unavailable where the address cannot be had. `parts` must outlive the server.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const server::Parts& parts);
  virtual ~Server() = default;

  virtual int port() const = 0;

  // Tells clients that ask the health service that it does not serve; it does all the same.
  virtual void SetNotServing() = 0;

  // Takes no more calls, gives those under way `grace` to end, cancels the rest.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_SERVER_H_

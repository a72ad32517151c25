#ifndef SLUICE_SERVER_GRPC_SERVER_H_
#define SLUICE_SERVER_GRPC_SERVER_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/gate/parts.h"
#include "server/tls/certificates.h"

namespace sluice::grpc_door {

struct ServerOptions {
  // What it calls itself.
  std::string version = "";
  // host:port; port 0 takes a free one.
  std::string address = "127.0.0.1:8182";
  // Of a write's line protocol (contract W-38).
  size_t max_body_bytes = size_t{10} << 20;
  std::chrono::milliseconds query_timeout = std::chrono::minutes(5);
  // After which a connection, and a stream of writes, is to be opened anew. Zero: never.
  std::chrono::milliseconds max_connection_age = std::chrono::milliseconds(0);
  // With them the server speaks TLS, and nothing else; they must outlive it. Null for plain text.
  const tls::Certificates* certificates = nullptr;
  tls::Clients clients = tls::Clients::kMust;
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

  // Tells the streams of writes that the server stops, and ends them after `grace`.
  virtual void Drain(std::chrono::milliseconds grace) = 0;

  // Waits for the calls that are under way, `grace` at most; false where some still are. Calls go
  // on being taken: it is to the services to refuse them by then. Then the process can end: gRPC's
  // own shutdown answers calls that come at the wrong moment with CANCELLED (contract W-95), and a
  // connection that ends with its process does not.
  virtual bool WaitForCalls(std::chrono::milliseconds grace) = 0;

  // Takes no more calls, gives those under way `grace` to end, cancels the rest.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

// What listens while the store is opened: the health service says that the server lives and does
// not serve, everything else is UNAVAILABLE.
class StartingServer {
 public:
  // Of `options`, where it listens and how it proves itself.
  static absl::StatusOr<std::unique_ptr<StartingServer>> Start(const ServerOptions& options);
  virtual ~StartingServer() = default;
  virtual int port() const = 0;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_SERVER_H_

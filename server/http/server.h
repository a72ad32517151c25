#ifndef SLUICE_SERVER_HTTP_SERVER_H_
#define SLUICE_SERVER_HTTP_SERVER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/http/message.h"
#include "server/resources/memory_budget.h"
#include "server/tls/certificates.h"

namespace sluice::http {

struct ServerOptions {
  // Where to listen; port 0 takes a free one.
  std::string host = "127.0.0.1";
  uint16_t port = 8181;
  size_t threads = 2;
  // At most so many connections, and a tenth more for a moment; beyond, those that have been there
  // longest and are idle or slow are closed, and new ones too where there is none.
  size_t max_connections = 10000;
  // Of a body as sent; a longer one gets 413 (contract W-38).
  size_t max_body_bytes = size_t{10} << 20;
  // How long a client may be silent within a request; its body comes at 1 KiB a second, on average,
  // after as long.
  std::chrono::milliseconds silence = std::chrono::seconds(30);
  // Of what `handler` does not get to see.
  Errors errors;
  // With them the server speaks TLS, and nothing else; they must outlive it. Null for plain text.
  const tls::Certificates* certificates = nullptr;
  tls::Clients clients = tls::Clients::kMust;
};

// An HTTP/1.0 and 1.1 server: keep-alive, pipelining, chunked bodies, `Expect: 100-continue`. It
// knows no route; `handler` answers everything that is a request.
class Server {
 public:
  // Listens and serves. Unavailable where the address cannot be had. The bodies under way take
  // their memory from `budget`, which must outlive the server; where it is used up, requests get
  // 503.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       server::MemoryBudget& budget,
                                                       Handler handler);
  // Stops as Stop does, if that was not called.
  virtual ~Server() = default;

  virtual uint16_t port() const = 0;
  // How many clients are connected.
  virtual size_t connections() = 0;

  // Takes no more connections and requests, gives those under way `grace` to end, cuts the rest.
  // Returns when the last worker is done with them.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_SERVER_H_

#ifndef SLUICE_SERVER_HTTP_TLS_H_
#define SLUICE_SERVER_HTTP_TLS_H_

#include <memory>
#include <mutex>
#include <string>
#include <vector>
// Asio 1.74 uses std::exchange, and needs <utility> first.
#include <boost/asio/ssl/context.hpp>
#include <utility>

#include "absl/status/statusor.h"
#include "server/tls/certificates.h"

namespace sluice::http {

// TLS as the server speaks it: 1.2 and 1.3, with the ciphers that have forward secrecy and are
// authenticated (those that gRPC has by default). Nothing of a session outlives its connection, so
// that what the certificates say holds for every connection. Safe for use by many threads.
class TlsContexts {
 public:
  // `certificates` must outlive it.
  TlsContexts(const tls::Certificates& certificates, tls::Clients clients)
      : certificates_(certificates), clients_(clients) {}

  // For a connection that is made now. Internal where what the files have is of no use to OpenSSL.
  absl::StatusOr<std::shared_ptr<boost::asio::ssl::context>> Now();

 private:
  const tls::Certificates& certificates_;
  const tls::Clients clients_;
  std::mutex mutex_;
  // What `context_` was made of.
  std::shared_ptr<const tls::Identity> identity_;
  std::shared_ptr<boost::asio::ssl::context> context_;
};

// The names of a client, after the handshake; see RequestHead.
std::vector<std::string> NamesOfPeer(SSL* connection);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_TLS_H_

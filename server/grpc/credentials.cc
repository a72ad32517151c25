#include "server/grpc/credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <mutex>
#include <optional>
#include <string>

namespace sluice::grpc_door {
namespace {

// gRPC's C++ interface has nothing that asks for the certificate at each handshake but a watcher
// of files of its own, which takes a key that does not fit; its C interface has.
class TlsCredentials : public grpc::ServerCredentials {
 public:
  TlsCredentials(const tls::Certificates& certificates, tls::Clients clients)
      : certificates_(certificates), clients_(clients) {}

  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {}

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    grpc_ssl_server_credentials_options* options =
        grpc_ssl_server_credentials_create_options_using_config_fetcher(RequestType(), Fetch, this);
    grpc_server_credentials* credentials = grpc_ssl_server_credentials_create_with_options(options);
    if (credentials == nullptr) return 0;
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  grpc_ssl_client_certificate_request_type RequestType() const {
    if (certificates_.Now()->client_ca.empty()) return GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE;
    return clients_ == tls::Clients::kMust
               ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
               : GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY;
  }

  // Called at each handshake.
  static grpc_ssl_certificate_config_reload_status Fetch(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<TlsCredentials*>(self)->FetchNow(config);
  }
  grpc_ssl_certificate_config_reload_status FetchNow(grpc_ssl_server_certificate_config** config) {
    const std::shared_ptr<const tls::Identity> now = certificates_.Now();
    std::lock_guard lock(mutex_);
    if (generation_ == now->generation) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = now->key.c_str(),
                                             .cert_chain = now->certificate.c_str()};
    // gRPC wants some, also where it asks nobody for a certificate.
    const std::string& authorities = now->client_ca.empty() ? now->certificate : now->client_ca;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    generation_ = now->generation;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const tls::Certificates& certificates_;
  const tls::Clients clients_;
  std::mutex mutex_;
  // Of what gRPC has.
  std::optional<uint64_t> generation_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const tls::Certificates* certificates,
                                                         tls::Clients clients) {
  if (certificates == nullptr) return grpc::InsecureServerCredentials();
  return std::make_shared<TlsCredentials>(*certificates, clients);
}

}  // namespace sluice::grpc_door

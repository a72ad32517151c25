#ifndef SLUICE_SERVER_GRPC_CREDENTIALS_H_
#define SLUICE_SERVER_GRPC_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "server/tls/certificates.h"

namespace sluice::grpc_door {

// For a port that speaks TLS 1.2 or 1.3 with the certificate that `certificates` has when a
// connection is made; for plain text where that is null. It must outlive the servers, and so must
// what this returns.
std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const tls::Certificates* certificates,
                                                         tls::Clients clients);

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_CREDENTIALS_H_

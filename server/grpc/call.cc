#include "server/grpc/call.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/auth_context.h>

#include <chrono>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "server/auth/credential.h"
#include "server/grpc/status.h"
#include "server/tls/certificates.h"

namespace sluice::grpc_door {

namespace {

std::vector<std::string> Values(const grpc::AuthContext& context, const char* property) {
  std::vector<std::string> values;
  for (const grpc::string_ref& value : context.FindPropertyValues(property)) {
    values.emplace_back(value.data(), value.size());
  }
  return values;
}

// As auth::Credential has them. gRPC has verified the certificate.
std::vector<std::string> CertificateNames(const server::Parts& parts,
                                          const grpc::CallbackServerContext& context) {
  const std::shared_ptr<const grpc::AuthContext> peer = context.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return {};
  // gRPC lets sessions be resumed, for hours, and then asks no more whether the certificate is
  // good.
  const std::vector<std::string> reused = Values(*peer, GRPC_SSL_SESSION_REUSED_PROPERTY);
  if (!reused.empty() && reused[0] == "true") {
    const std::vector<std::string> pem = Values(*peer, GRPC_X509_PEM_CERT_PROPERTY_NAME);
    if (pem.empty() || parts.certificates == nullptr ||
        !tls::IsBelieved(*parts.certificates->Now(), pem[0])) {
      return {};
    }
  }
  std::vector<std::string> names = Values(*peer, GRPC_PEER_URI_PROPERTY_NAME);
  for (std::string& name : Values(*peer, GRPC_PEER_DNS_PROPERTY_NAME))
    names.push_back(std::move(name));
  return names.empty() ? Values(*peer, GRPC_X509_CN_PROPERTY_NAME) : names;
}

}  // namespace

auth::Credential CredentialOf(const server::Parts& parts,
                              const grpc::CallbackServerContext& context) {
  auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) {
    return {.certificate_names = CertificateNames(parts, context)};
  }
  return {.token = auth::TokenIn({found->second.data(), found->second.size()})};
}

std::shared_ptr<observability::Request> RequestOf(const server::Parts& parts,
                                                  const grpc::CallbackServerContext& context) {
  return parts.requests.FindByCall(static_cast<const grpc::ServerContextBase*>(&context));
}

server::Claim ClaimOf(const server::Parts& parts, const grpc::CallbackServerContext& context,
                      server::Act act, const std::string& database,
                      const absl::Status& parameters) {
  server::Claim claim{.act = act,
                      .credential = CredentialOf(parts, context),
                      .parameters = parameters,
                      .request = RequestOf(parts, context)};
  if (act == server::Act::kAdminister) return claim;
  absl::StatusOr<storage::DatabaseName> name = storage::DatabaseName::Parse(database);
  if (name.ok()) {
    claim.database = *std::move(name);
  } else {
    claim.parameters = name.status();
  }
  return claim;
}

// gRPC says ipv4:10.0.0.1:5000 or ipv6:%5B::1%5D:5000.
std::string PeerOf(const grpc::ServerContextBase& context) {
  std::string peer = context.peer();
  if (absl::StartsWith(peer, "ipv4:") || absl::StartsWith(peer, "ipv6:")) peer.erase(0, 5);
  return absl::StrReplaceAll(peer, {{"%5B", "["}, {"%5D", "]"}});
}

absl::Status CheckAwaited(const grpc::CallbackServerContext& context) {
  if (context.deadline() <= std::chrono::system_clock::now()) {
    return absl::DeadlineExceededError("the deadline has passed; nothing was ingested");
  }
  if (context.IsCancelled()) {
    return absl::CancelledError("the call was cancelled; nothing was ingested");
  }
  return absl::OkStatus();
}

Ending::~Ending() {
  if (reactor_ != nullptr) (*this)(ToGrpc(absl::UnavailableError("the call came to no end")));
}

void Ending::operator()(const grpc::Status& status) {
  Finish(context_, reactor_, status);
  reactor_ = nullptr;
}

void AddPushback(const grpc::Status& status, grpc::CallbackServerContext& context) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return;
  context.AddTrailingMetadata("grpc-retry-pushback-ms", std::to_string(kRetryDelayMs));
}

}  // namespace sluice::grpc_door

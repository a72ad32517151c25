#include "client/channel.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <grpcpp/support/channel_arguments.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "absl/strings/ascii.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace sluice::client {
namespace {

constexpr char kDetailsUrl[] = "google.rpc.Status";

constexpr int kMinReconnectMs = 100;
constexpr int kMaxReconnectMs = 1'000;
constexpr int kPingMs = 30'000;
constexpr int kPingTimeoutMs = 10'000;
// How often files of certificates are looked at.
constexpr unsigned kReloadSeconds = 2;
// A call is made again only if all of its request is still there: by default 256 KiB.
constexpr int kRetryBufferBytes = 16 << 20;

// Not those that change something and may not be made twice.
constexpr char kRetriedCalls[] = R"({"methodConfig": [{
  "name": [{"service": "sluice.v1.WriteService"},
           {"service": "sluice.v1.QueryService"},
           {"service": "sluice.v1.ServerService"},
           {"service": "sluice.v1.AdminService", "method": "ListDatabases"},
           {"service": "sluice.v1.AdminService", "method": "GetDatabase"},
           {"service": "sluice.v1.AdminService", "method": "ListTables"},
           {"service": "sluice.v1.AdminService", "method": "DescribeTable"},
           {"service": "sluice.v1.AdminService", "method": "ListRejections"},
           {"service": "sluice.v1.AdminService", "method": "ListTokens"}],
  "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.2s", "maxBackoff": "2s",
                  "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]})";

// The details of one type among those of a status.
template <typename Detail>
std::optional<Detail> DetailOf(const absl::Status& status) {
  absl::optional<absl::Cord> payload = status.GetPayload(kDetailsUrl);
  google::rpc::Status details;
  if (!payload || !details.ParseFromString(std::string(*payload))) return std::nullopt;
  Detail found;
  for (const auto& detail : details.details()) {
    if (detail.UnpackTo(&found)) return found;
  }
  return std::nullopt;
}

std::shared_ptr<grpc::ChannelCredentials> MakeCredentials(const Tls& tls) {
  const TlsFiles& files = tls.files;
  const bool own = !files.certificate_chain.empty();
  if (files.root_certificates.empty() && !own) {
    return grpc::SslCredentials({.pem_root_certs = tls.root_certificates,
                                 .pem_private_key = tls.private_key,
                                 .pem_cert_chain = tls.certificate_chain});
  }
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.private_key, files.certificate_chain, files.root_certificates, kReloadSeconds));
  if (!files.root_certificates.empty()) options.watch_root_certs();
  if (own) options.watch_identity_key_cert_pairs();
  return grpc::experimental::TlsCredentials(options);
}

std::string FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const std::optional<Tls>& tls, Retries retries) {
  grpc::ChannelArguments arguments;
  // The server bounds what it takes; the client takes what it answers.
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kMinReconnectMs);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kPingMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kPingTimeoutMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  if (retries == Retries::kByGrpc) {
    arguments.SetInt(GRPC_ARG_PER_RPC_RETRY_BUFFER_SIZE, kRetryBufferBytes);
    arguments.SetServiceConfigJSON(kRetriedCalls);
  } else {
    arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  }
  if (!tls) {
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  if (!tls->server_name.empty()) arguments.SetSslTargetNameOverride(tls->server_name);
  return grpc::CreateCustomChannel(address, MakeCredentials(*tls), arguments);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (!status.error_details().empty()) {
    result.SetPayload(kDetailsUrl, absl::Cord(status.error_details()));
  }
  return result;
}

absl::Duration RetryDelayOf(const absl::Status& status) {
  const auto retry = DetailOf<google::rpc::RetryInfo>(status);
  if (!retry) return absl::ZeroDuration();
  return absl::Seconds(retry->retry_delay().seconds()) +
         absl::Nanoseconds(retry->retry_delay().nanos());
}

absl::StatusOr<std::string> CurrentToken::Get() {
  std::lock_guard lock(mutex_);
  if (!is_known_) {
    absl::StatusOr<std::string> token = source_();
    if (!token.ok()) return token.status();
    is_known_ = true;
    token_ = *std::move(token);
  }
  // gRPC ends the process for a header with anything else.
  for (char c : token_) {
    if (c < 0x20 || c > 0x7e) {
      return absl::InvalidArgumentError("the token has a character that is not printable ASCII");
    }
  }
  return token_;
}

absl::StatusOr<bool> CurrentToken::Renew(const std::string& refused) {
  if (!source_) return false;
  std::lock_guard lock(mutex_);
  // Another thread has been faster.
  if (is_known_ && token_ != refused) return true;
  absl::StatusOr<std::string> token = source_();
  if (!token.ok()) return token.status();
  if (*token == refused) return false;
  token_ = *std::move(token);
  return true;
}

absl::StatusOr<std::optional<Tls>> TlsFromFiles(const TlsFiles& files, bool always) {
  for (const std::string* path :
       {&files.root_certificates, &files.certificate_chain, &files.private_key}) {
    if (!path->empty() && !std::ifstream(*path)) {
      return absl::NotFoundError("cannot read the file " + *path);
    }
  }
  if (files.certificate_chain.empty() != files.private_key.empty()) {
    return absl::InvalidArgumentError("a certificate and its key go together; one is missing");
  }
  const bool any = !files.root_certificates.empty() || !files.certificate_chain.empty();
  if (!any && !always) return std::nullopt;
  return Tls{.files = files};
}

absl::StatusOr<std::optional<Tls>> TlsFromEnvironment() {
  return TlsFromFiles({.root_certificates = FromEnvironment("SLUICE_CA_FILE"),
                       .certificate_chain = FromEnvironment("SLUICE_CERT_FILE"),
                       .private_key = FromEnvironment("SLUICE_KEY_FILE")},
                      FromEnvironment("SLUICE_TLS") == "true");
}

TokenSource TokenFromFile(std::string path) {
  return [path = std::move(path)]() -> absl::StatusOr<std::string> {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (file) text << file.rdbuf();
    if (!file) return absl::NotFoundError("cannot read the token's file " + path);
    return std::string(absl::StripAsciiWhitespace(text.str()));
  };
}

bool IsFromServer(const absl::Status& status) { return status.GetPayload(kDetailsUrl).has_value(); }

std::vector<std::pair<std::string, std::string>> ViolationsOf(const absl::Status& status) {
  std::vector<std::pair<std::string, std::string>> violations;
  const auto bad_request = DetailOf<google::rpc::BadRequest>(status);
  if (!bad_request) return violations;
  for (const auto& violation : bad_request->field_violations()) {
    violations.emplace_back(violation.field(), violation.description());
  }
  return violations;
}

absl::Status WithMessage(const absl::Status& status, const std::string& message) {
  absl::Status result(status.code(), message);
  const absl::optional<absl::Cord> details = status.GetPayload(kDetailsUrl);
  if (details) result.SetPayload(kDetailsUrl, absl::Cord(std::string(*details)));
  return result;
}

std::string ReasonOf(const absl::Status& status) {
  const auto info = DetailOf<google::rpc::ErrorInfo>(status);
  return info ? info->reason() : "";
}

}  // namespace sluice::client

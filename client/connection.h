#ifndef SLUICE_CLIENT_CONNECTION_H_
#define SLUICE_CLIENT_CONNECTION_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// What all ways to a server have in common: how it is reached, and how its errors are read.

namespace sluice::client {

// Gives the token to be sent; for tokens that rotate. Asked before the first call, and again when
// the server has refused what it gave before. Called by any thread, one at a time, and may block.
using TokenSource = std::function<absl::StatusOr<std::string>()>;

// Files in PEM, each empty where there is none. They are read anew when they change, as a Secret
// that Kubernetes mounts does, for connections that are made from then on.
struct TlsFiles {
  std::string root_certificates = "";
  std::string certificate_chain = "";
  std::string private_key = "";
};

// Certificates in PEM.
struct Tls {
  // Of the authorities that the server's certificate may be from. Empty: those that gRPC knows.
  std::string root_certificates = "";
  // The client's own, for mutual TLS; both or none.
  std::string certificate_chain = "";
  std::string private_key = "";
  // The name in the server's certificate, where it is not that of the address.
  std::string server_name = "";
  // In place of the texts above, where any of them is given.
  TlsFiles files = {};
};

// What a program is told by its user: TLS where a file is given, or `always`. NotFound where one
// cannot be read, InvalidArgument where a certificate comes without its key. For Tls::files.
absl::StatusOr<std::optional<Tls>> TlsFromFiles(const TlsFiles& files, bool always = false);
// The same of the files that the environment names: SLUICE_CA_FILE, SLUICE_CERT_FILE,
// SLUICE_KEY_FILE; and SLUICE_TLS=true for `always`.
absl::StatusOr<std::optional<Tls>> TlsFromEnvironment();

// A source that reads a file each time, such as a mounted Secret, and strips spaces at its ends.
TokenSource TokenFromFile(std::string path);

// Errors of all calls have the canonical code and the message of the server's status; these read
// the rest of it.

// Whether the server itself said so, rather than gRPC for want of it.
bool IsFromServer(const absl::Status& status);

// The field violations that a failed call was explained with: field and description.
std::vector<std::pair<std::string, std::string>> ViolationsOf(const absl::Status& status);

// The same error in other words.
absl::Status WithMessage(const absl::Status& status, const std::string& message);

// ErrorInfo's reason, such as "DATABASE_NOT_FOUND" (see write.proto); empty where there is none.
std::string ReasonOf(const absl::Status& status);

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CONNECTION_H_

#ifndef SLUICE_SERVER_AUTH_CREDENTIAL_H_
#define SLUICE_SERVER_AUTH_CREDENTIAL_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::auth {

// What a request brings to say who makes it.
struct Credential {
  // It goes before a certificate.
  std::optional<std::string> token = std::nullopt;
  // The names in the client's certificate, which is from an authority that the server believes:
  // those of its subjectAltName that are URI or DNS names, or without any its common name.
  std::vector<std::string> certificate_names = {};
};

// The token in the value of an Authorization header, or of gRPC metadata of that name (contract
// W-39): `Token T`, `Bearer T` or `Basic base64(any:T)`, the scheme in any case. Nothing where it
// is none of these.
std::optional<std::string> TokenIn(std::string_view authorization);

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_CREDENTIAL_H_

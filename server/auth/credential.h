#ifndef SLUICE_SERVER_AUTH_CREDENTIAL_H_
#define SLUICE_SERVER_AUTH_CREDENTIAL_H_

#include <optional>
#include <string>
#include <string_view>

namespace sluice::auth {

// The token in the value of an Authorization header, or of gRPC metadata of that name (contract
// W-39): `Token T`, `Bearer T` or `Basic base64(any:T)`, the scheme in any case. Nothing where it
// is none of these.
std::optional<std::string> TokenIn(std::string_view authorization);

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_CREDENTIAL_H_

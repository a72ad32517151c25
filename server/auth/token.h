#ifndef SLUICE_SERVER_AUTH_TOKEN_H_
#define SLUICE_SERVER_AUTH_TOKEN_H_

#include <string>
#include <string_view>

#include "storage/token_record.h"

namespace sluice::auth {

// A new token's text: "sluice_" and 64 random bytes in unpadded URL-safe base64, 93 characters in
// all (contract W-70).
std::string GenerateToken();

// Whether `text` has the form that GenerateToken gives it.
bool IsToken(std::string_view text);

storage::TokenHash HashOf(std::string_view token);

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_TOKEN_H_

#include "server/auth/token.h"

#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace sluice::auth {
namespace {

constexpr std::string_view kPrefix = "sluice_";
constexpr size_t kRandomBytes = 64;
constexpr size_t kEncodedBytes = (kRandomBytes * 4 + 2) / 3;

}  // namespace

std::string GenerateToken() {
  std::string random(kRandomBytes, '\0');
  // A guessable token would be worse than none.
  if (RAND_bytes(reinterpret_cast<unsigned char*>(random.data()), kRandomBytes) != 1) std::abort();
  std::string token(kPrefix);
  token += absl::WebSafeBase64Escape(random);
  return token;
}

bool IsToken(std::string_view text) {
  if (!text.starts_with(kPrefix) || text.size() != kPrefix.size() + kEncodedBytes) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; });
}

storage::TokenHash HashOf(std::string_view token) {
  storage::TokenHash hash;
  static_assert(sizeof(hash) == SHA512_DIGEST_LENGTH);
  SHA512(reinterpret_cast<const unsigned char*>(token.data()), token.size(), hash.data());
  return hash;
}

}  // namespace sluice::auth

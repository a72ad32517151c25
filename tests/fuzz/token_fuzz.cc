// Any bytes as what says who somebody is: the value of an Authorization header, a token, and the
// record of one in the catalog, which must come out as it went in.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "server/auth/credential.h"
#include "server/auth/token.h"
#include "storage/token_record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto token = sluice::auth::TokenIn(bytes);
  if (token && token->size() > size) std::abort();
  if (sluice::auth::IsToken(bytes) && size != 93) std::abort();
  const auto record = sluice::storage::DecodeToken("name", bytes);
  if (!record.ok()) return 0;
  const auto again = sluice::storage::DecodeToken("name", sluice::storage::Encode(*record));
  if (!again.ok() || *again != *record) std::abort();
  return 0;
}

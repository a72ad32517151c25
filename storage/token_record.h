#ifndef SLUICE_STORAGE_TOKEN_RECORD_H_
#define SLUICE_STORAGE_TOKEN_RECORD_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice::storage {

// Leave to read or write one database, or all.
struct Grant {
  // A database's name, whether or not there is one, or "*" for all.
  std::string database;
  bool read = false;
  bool write = false;

  friend bool operator==(const Grant&, const Grant&) = default;
};

// SHA-512 of a token's text.
using TokenHash = std::array<uint8_t, 64>;

// What is stored of a token: never the token itself (contract W-70).
struct TokenRecord {
  // Unique.
  std::string name;
  TokenHash hash = {};
  int64_t create_time_ns = 0;
  // When it ceases to be valid; nothing means never.
  std::optional<int64_t> expiry_ns = std::nullopt;
  // May do everything; has no grants then.
  bool admin = false;
  std::vector<Grant> grants = {};
  // Where it is not empty: a name in the certificate of the client whom this is for, who brings
  // that instead of a token; then there is no token's text, and `hash` is of nothing.
  std::string certificate_name = "";
  // How much it may bring a second; 0: as much as it likes.
  uint64_t max_requests_per_second = 0;
  uint64_t max_bytes_per_second = 0;

  friend bool operator==(const TokenRecord&, const TokenRecord&) = default;
};

// The stored form, without the name, which is the key.
std::string Encode(const TokenRecord& token);
// DataLoss where `bytes` is not what Encode made.
absl::StatusOr<TokenRecord> DecodeToken(std::string_view name, std::string_view bytes);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_TOKEN_RECORD_H_

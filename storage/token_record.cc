#include "storage/token_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/bytes.h"

// A token in the catalog, in the words of bytes.h:
//
//   token  := version:byte(1) hash:64 raw bytes create_time:zigzag expiry admin:byte(0 or 1)
//             grants:varint grant*
//   expiry := byte(0) | byte(1) nanoseconds:zigzag
//   grant  := database:bytes rights:byte          bit 0 read, bit 1 write

namespace sluice::storage {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kRead = 1;
constexpr uint8_t kWrite = 2;

}  // namespace

std::string Encode(const TokenRecord& token) {
  std::string out;
  PutByte(out, kVersion);
  out.append(reinterpret_cast<const char*>(token.hash.data()), token.hash.size());
  PutZigzag(out, token.create_time_ns);
  PutByte(out, token.expiry_ns ? 1 : 0);
  if (token.expiry_ns) PutZigzag(out, *token.expiry_ns);
  PutByte(out, token.admin ? 1 : 0);
  PutVarint(out, token.grants.size());
  for (const Grant& grant : token.grants) {
    PutBytes(out, grant.database);
    PutByte(out, static_cast<uint8_t>((grant.read ? kRead : 0) | (grant.write ? kWrite : 0)));
  }
  return out;
}

absl::StatusOr<TokenRecord> DecodeToken(std::string_view name, std::string_view bytes) {
  ByteReader reader(bytes);
  bool known = reader.Byte() == kVersion;
  TokenRecord token;
  token.name = name;
  std::string_view hash = reader.Raw(token.hash.size());
  std::copy(hash.begin(), hash.end(), token.hash.begin());
  token.create_time_ns = reader.Zigzag();
  if (reader.Byte() != 0) token.expiry_ns = reader.Zigzag();
  token.admin = reader.Byte() != 0;
  uint64_t grants = reader.Varint();
  for (uint64_t i = 0; i < grants && reader.ok(); ++i) {
    Grant grant;
    grant.database = reader.Bytes();
    uint8_t rights = reader.Byte();
    grant.read = (rights & kRead) != 0;
    grant.write = (rights & kWrite) != 0;
    token.grants.push_back(std::move(grant));
  }
  if (known && reader.ok() && reader.empty()) return token;
  return absl::DataLossError(fmt::format("damaged catalog: the record of token '{}'", name));
}

}  // namespace sluice::storage

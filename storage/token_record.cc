#include "storage/token_record.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/bytes.h"

// A token in the catalog, in the words of bytes.h:
//
//   token  := version:byte(1 or 2) hash:64 raw bytes create_time:zigzag expiry admin:byte(0 or 1)
//             grants:varint grant* extras
//   expiry := byte(0) | byte(1) nanoseconds:zigzag
//   grant  := database:bytes rights:byte          bit 0 read, bit 1 write
//   extras := nothing in version 1; certificate_name:bytes max_requests_per_second:varint
//             max_bytes_per_second:varint in version 2
//
// A token without extras is written as version 1, which servers before 2 read.

namespace sluice::storage {
namespace {

constexpr uint8_t kPlain = 1;
constexpr uint8_t kWithExtras = 2;
constexpr uint8_t kRead = 1;
constexpr uint8_t kWrite = 2;

}  // namespace

std::string Encode(const TokenRecord& token) {
  const bool extras = !token.certificate_name.empty() || token.max_requests_per_second > 0 ||
                      token.max_bytes_per_second > 0;
  std::string out;
  PutByte(out, extras ? kWithExtras : kPlain);
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
  if (!extras) return out;
  PutBytes(out, token.certificate_name);
  PutVarint(out, token.max_requests_per_second);
  PutVarint(out, token.max_bytes_per_second);
  return out;
}

absl::StatusOr<TokenRecord> DecodeToken(std::string_view name, std::string_view bytes) {
  ByteReader reader(bytes);
  const uint8_t version = reader.Byte();
  const bool known = version == kPlain || version == kWithExtras;
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
  if (version == kWithExtras) {
    token.certificate_name = reader.Bytes();
    token.max_requests_per_second = reader.Varint();
    token.max_bytes_per_second = reader.Varint();
  }
  if (known && reader.ok() && reader.empty()) return token;
  return absl::DataLossError(fmt::format("damaged catalog: the record of token '{}'", name));
}

}  // namespace sluice::storage

#ifndef SLUICE_SERVER_AUTH_AUTHORITY_H_
#define SLUICE_SERVER_AUTH_AUTHORITY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/credential.h"
#include "server/auth/principal.h"
#include "storage/store.h"

namespace sluice::auth {

// The name of the admin token that the server is started with.
inline constexpr char kFirstAdminName[] = "_admin";

// A token that is to be.
struct NewToken {
  // Unique: 1 to 64 characters of [A-Za-z0-9_.-].
  std::string name;
  // Nothing means that it is valid until it is deleted.
  std::optional<int64_t> expiry_ns = std::nullopt;
  bool admin = false;
  // One at least, unless admin; then none.
  std::vector<storage::Grant> grants = {};
  // As in storage::TokenRecord. 1 to 256 printable characters of ASCII, of no other token.
  std::string certificate_name = "";
  uint64_t max_requests_per_second = 0;
  uint64_t max_bytes_per_second = 0;
};

struct CreatedToken {
  // Told here and never again; empty where a certificate is brought instead.
  std::string text;
  storage::TokenRecord record;
};

// Knows all tokens, and who a request's credential belongs to: the same rule for every door.
// Finding that out takes one SHA-512 and one look-up, for a token seen before or not; what is
// created or deleted holds for the next request. Safe for use by many threads.
class Authority {
 public:
  // Reads the tokens from `store`, which must outlive it.
  static absl::StatusOr<std::unique_ptr<Authority>> Open(storage::TokenTable& store);
  // One that lets everyone do everything (contract W-71); tokens can be managed all the same.
  static absl::StatusOr<std::unique_ptr<Authority>> OpenWithoutAuth(storage::TokenTable& store);
  ~Authority();

  // Who brings this. Unauthenticated, and nothing more, where there is no token and no certificate,
  // or what there is is unknown or expired (contract W-5).
  absl::StatusOr<Principal> Identify(const Credential& credential, int64_t now_ns) const;

  // AlreadyExists where there is a token of that name, InvalidArgument where `token` is not as
  // described.
  absl::StatusOr<CreatedToken> Create(const NewToken& token, int64_t now_ns);
  // By name, ascending.
  std::vector<storage::TokenRecord> List() const;
  // NotFound where there is none of that name.
  absl::Status Delete(const std::string& name);

  // Makes `text` the token kFirstAdminName, in place of the one of that name if there is one: what
  // the server was told goes first. InvalidArgument where it has not the form of a token.
  absl::Status SetFirstAdmin(std::string_view text, int64_t now_ns);
  // Whether there is an admin token that is still valid.
  bool HasAdmin(int64_t now_ns) const;

 private:
  using TokenPtr = std::shared_ptr<const KnownToken>;

  Authority(storage::TokenTable& store, bool open) : store_(store), open_(open) {}

  static absl::StatusOr<std::unique_ptr<Authority>> Load(storage::TokenTable& store, bool open);
  void Reload();
  // Null where there is none.
  TokenPtr Find(const storage::TokenHash& hash) const;
  TokenPtr FindByCertificate(const std::vector<std::string>& names) const;
  absl::Status CheckNew(const NewToken& token) const;
  TokenPtr FindByName(const std::string& name) const;
  absl::Status Changed(const absl::Status& stored) const;

  storage::TokenTable& store_;
  const bool open_;

  // Held while tokens are changed.
  std::mutex change_mutex_;
  // Guards what is below; held for moments only.
  mutable std::shared_mutex mutex_;
  absl::flat_hash_map<storage::TokenHash, TokenPtr> by_hash_;
  absl::flat_hash_map<std::string, TokenPtr> by_certificate_;
  std::map<std::string, TokenPtr> by_name_;
  // What came of the last time.
  absl::Status reloaded_;
};

}  // namespace sluice::auth

#endif  // SLUICE_SERVER_AUTH_AUTHORITY_H_

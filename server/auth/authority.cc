#include "server/auth/authority.h"

#include <fmt/format.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "server/auth/token.h"
#include "storage/names.h"
#include "storage/reason.h"

namespace sluice::auth {
namespace {

constexpr size_t kMaxNameBytes = 64;

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '.'; }

absl::Status CheckName(const std::string& name) {
  bool valid = !name.empty() && name.size() <= kMaxNameBytes &&
               std::all_of(name.begin(), name.end(), IsNameByte);
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError("a token's name is 1 to 64 letters, digits, '_', '-' or '.'");
}

absl::Status CheckGrants(const NewToken& token) {
  if (token.admin && !token.grants.empty()) {
    return absl::InvalidArgumentError(
        "an admin token may do everything; leave the databases out, or leave admin out");
  }
  if (!token.admin && token.grants.empty()) {
    return absl::InvalidArgumentError(
        "a token is for admin, or may read or write a database; say which");
  }
  for (const storage::Grant& grant : token.grants) {
    if (grant.database != "*") {
      absl::Status named = storage::DatabaseName::Parse(grant.database).status();
      if (!named.ok()) return named;
    }
    if (!grant.read && !grant.write) {
      return absl::InvalidArgumentError(
          fmt::format("neither read nor write is granted for database '{}'", grant.database));
    }
  }
  return absl::OkStatus();
}

absl::Status Check(const NewToken& token, int64_t now_ns) {
  absl::Status named = CheckName(token.name);
  if (!named.ok()) return named;
  if (token.expiry_ns && *token.expiry_ns <= now_ns) {
    return absl::InvalidArgumentError("the token would have expired already");
  }
  return CheckGrants(token);
}

bool IsValid(const storage::TokenRecord& token, int64_t now_ns) {
  return !token.expiry_ns || now_ns < *token.expiry_ns;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Authority>> Authority::Open(storage::TokenTable& store) {
  return Load(store, false);
}

absl::StatusOr<std::unique_ptr<Authority>> Authority::OpenWithoutAuth(storage::TokenTable& store) {
  return Load(store, true);
}

absl::StatusOr<std::unique_ptr<Authority>> Authority::Load(storage::TokenTable& store, bool open) {
  std::unique_ptr<Authority> authority(new Authority(store, open));
  store.WatchTokens([authority = authority.get()] { authority->Reload(); });
  authority->Reload();
  if (!authority->reloaded_.ok()) return authority->reloaded_;
  return authority;
}

Authority::~Authority() { store_.WatchTokens(nullptr); }

// What the store has is what counts, whoever put it there. Where it cannot be read, what was known
// is still so.
void Authority::Reload() {
  auto tokens = store_.ListTokens();
  decltype(by_hash_) by_hash;
  decltype(by_name_) by_name;
  if (tokens.ok()) {
    for (storage::TokenRecord& record : *tokens) {
      auto token = std::make_shared<const storage::TokenRecord>(std::move(record));
      by_hash[token->hash] = token;
      by_name[token->name] = token;
    }
  }
  std::lock_guard lock(mutex_);
  reloaded_ = tokens.status();
  if (!tokens.ok()) return;
  by_hash_.swap(by_hash);
  by_name_.swap(by_name);
}

// What came of telling the store, which has told this of it.
absl::Status Authority::Changed(const absl::Status& stored) const {
  if (!stored.ok()) return stored;
  std::shared_lock lock(mutex_);
  return reloaded_;
}

Authority::TokenPtr Authority::Find(const storage::TokenHash& hash) const {
  std::shared_lock lock(mutex_);
  auto found = by_hash_.find(hash);
  return found == by_hash_.end() ? nullptr : found->second;
}

bool Authority::Knows(const std::string& name) const {
  std::shared_lock lock(mutex_);
  return by_name_.contains(name);
}

absl::StatusOr<Principal> Authority::Identify(const std::optional<std::string>& token,
                                              int64_t now_ns) const {
  if (open_) return Principal::Anonymous();
  if (token) {
    // How long the look-up takes depends on the hash alone, which nobody can steer.
    storage::TokenHash hash = HashOf(*token);
    TokenPtr found = Find(hash);
    if (found != nullptr && IsValid(*found, now_ns)) return Principal(std::move(found));
  }
  return storage::WithReason(absl::UnauthenticatedError("unauthorized access"),
                             token ? "TOKEN_INVALID" : "TOKEN_MISSING");
}

absl::StatusOr<CreatedToken> Authority::Create(const NewToken& token, int64_t now_ns) {
  absl::Status checked = Check(token, now_ns);
  if (!checked.ok()) return checked;
  std::lock_guard change(change_mutex_);
  if (Knows(token.name)) {
    return storage::WithReason(
        absl::AlreadyExistsError(fmt::format("token \"{}\" already exists", token.name)),
        "TOKEN_EXISTS", {{"token", token.name}});
  }
  CreatedToken created;
  created.text = GenerateToken();
  created.record = {.name = token.name,
                    .hash = HashOf(created.text),
                    .create_time_ns = now_ns,
                    .expiry_ns = token.expiry_ns,
                    .admin = token.admin,
                    .grants = token.grants};
  absl::Status put = Changed(store_.PutToken(created.record));
  if (!put.ok()) return put;
  return created;
}

std::vector<storage::TokenRecord> Authority::List() const {
  std::shared_lock lock(mutex_);
  std::vector<storage::TokenRecord> records;
  for (const auto& [name, token] : by_name_) records.push_back(*token);
  return records;
}

absl::Status Authority::Delete(const std::string& name) {
  std::lock_guard change(change_mutex_);
  if (!Knows(name)) {
    return storage::WithReason(absl::NotFoundError(fmt::format("token \"{}\" not found", name)),
                               "TOKEN_NOT_FOUND", {{"token", name}});
  }
  const absl::Status deleted = store_.DeleteToken(name);
  if (!deleted.ok()) return deleted;
  // It is valid no more, even where what is left could not be listed.
  std::lock_guard lock(mutex_);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return absl::OkStatus();
  by_hash_.erase(found->second->hash);
  by_name_.erase(found);
  return absl::OkStatus();
}

absl::Status Authority::SetFirstAdmin(std::string_view text, int64_t now_ns) {
  if (!IsToken(text)) {
    return absl::InvalidArgumentError(
        "not a token: a token is 'sluice_' and 86 characters; `sluice token generate` makes one");
  }
  std::lock_guard change(change_mutex_);
  storage::TokenHash hash = HashOf(text);
  if (const TokenPtr known = Find(hash)) {
    if (known->admin && IsValid(*known, now_ns)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("the admin token given is that of '{}', which is no valid admin token; give a "
                    "new one",
                    known->name));
  }
  return Changed(store_.PutToken(
      {.name = kFirstAdminName, .hash = hash, .create_time_ns = now_ns, .admin = true}));
}

bool Authority::HasAdmin(int64_t now_ns) const {
  std::shared_lock lock(mutex_);
  return std::any_of(by_name_.begin(), by_name_.end(), [&](const auto& named) {
    return named.second->admin && IsValid(*named.second, now_ns);
  });
}

}  // namespace sluice::auth

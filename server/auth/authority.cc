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
constexpr size_t kMaxCertificateNameBytes = 256;
// More is no limit.
constexpr uint64_t kMaxRate = 1'000'000'000'000;

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

absl::Status CheckCertificateName(const std::string& name) {
  const bool valid = name.size() <= kMaxCertificateNameBytes &&
                     std::all_of(name.begin(), name.end(), absl::ascii_isgraph);
  if (valid) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a name in a certificate is at most 256 printable characters of ASCII, without spaces");
}

absl::Status Check(const NewToken& token, int64_t now_ns) {
  absl::Status named = CheckName(token.name);
  if (!named.ok()) return named;
  if (token.expiry_ns && *token.expiry_ns <= now_ns) {
    return absl::InvalidArgumentError("the token would have expired already");
  }
  absl::Status certificate = CheckCertificateName(token.certificate_name);
  if (!certificate.ok()) return certificate;
  if (token.max_requests_per_second > kMaxRate || token.max_bytes_per_second > kMaxRate) {
    return absl::InvalidArgumentError(
        fmt::format("a token's limit of requests or bytes a second is {} at most", kMaxRate));
  }
  return CheckGrants(token);
}

bool IsValid(const KnownToken& token, int64_t now_ns) {
  return !token.record.expiry_ns || now_ns < *token.record.expiry_ns;
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
  decltype(by_certificate_) by_certificate;
  decltype(by_name_) by_name;
  if (tokens.ok()) {
    for (storage::TokenRecord& record : *tokens) {
      // What one has brought of late is not forgotten because another has changed.
      TokenPtr token = FindByName(record.name);
      if (token == nullptr || token->record != record) {
        token = std::make_shared<const KnownToken>(std::move(record));
      }
      by_name[token->record.name] = token;
      if (token->record.certificate_name.empty()) {
        by_hash[token->record.hash] = token;
      } else {
        by_certificate[token->record.certificate_name] = token;
      }
    }
  }
  std::lock_guard lock(mutex_);
  reloaded_ = tokens.status();
  if (!tokens.ok()) return;
  by_hash_.swap(by_hash);
  by_certificate_.swap(by_certificate);
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

Authority::TokenPtr Authority::FindByName(const std::string& name) const {
  std::shared_lock lock(mutex_);
  auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

Authority::TokenPtr Authority::FindByCertificate(const std::vector<std::string>& names) const {
  std::shared_lock lock(mutex_);
  for (const std::string& name : names) {
    auto found = by_certificate_.find(name);
    if (found != by_certificate_.end()) return found->second;
  }
  return nullptr;
}

absl::StatusOr<Principal> Authority::Identify(const Credential& credential, int64_t now_ns) const {
  if (open_) return Principal::Anonymous();
  // How long the look-up takes depends on the hash alone, which nobody can steer.
  TokenPtr found = credential.token ? Find(HashOf(*credential.token))
                                    : FindByCertificate(credential.certificate_names);
  if (found != nullptr && IsValid(*found, now_ns)) return Principal(std::move(found));
  const char* reason = credential.token                       ? "TOKEN_INVALID"
                       : credential.certificate_names.empty() ? "TOKEN_MISSING"
                                                              : "CERTIFICATE_UNKNOWN";
  return storage::WithReason(absl::UnauthenticatedError("unauthorized access"), reason);
}

// Whether there is already one like that. With change_mutex_ held.
absl::Status Authority::CheckNew(const NewToken& token) const {
  if (FindByName(token.name) != nullptr) {
    return storage::WithReason(
        absl::AlreadyExistsError(fmt::format("token \"{}\" already exists", token.name)),
        "TOKEN_EXISTS", {{"token", token.name}});
  }
  if (token.certificate_name.empty()) return absl::OkStatus();
  const TokenPtr same = FindByCertificate({token.certificate_name});
  if (same == nullptr) return absl::OkStatus();
  return storage::WithReason(
      absl::AlreadyExistsError(fmt::format("the certificate's name \"{}\" is that of token \"{}\"",
                                           token.certificate_name, same->record.name)),
      "TOKEN_EXISTS", {{"token", same->record.name}});
}

absl::StatusOr<CreatedToken> Authority::Create(const NewToken& token, int64_t now_ns) {
  absl::Status checked = Check(token, now_ns);
  if (!checked.ok()) return checked;
  std::lock_guard change(change_mutex_);
  const absl::Status is_new = CheckNew(token);
  if (!is_new.ok()) return is_new;
  CreatedToken created;
  created.record = {.name = token.name,
                    .create_time_ns = now_ns,
                    .expiry_ns = token.expiry_ns,
                    .admin = token.admin,
                    .grants = token.grants,
                    .certificate_name = token.certificate_name,
                    .max_requests_per_second = token.max_requests_per_second,
                    .max_bytes_per_second = token.max_bytes_per_second};
  if (token.certificate_name.empty()) {
    created.text = GenerateToken();
    created.record.hash = HashOf(created.text);
  }
  absl::Status put = Changed(store_.PutToken(created.record));
  if (!put.ok()) return put;
  return created;
}

std::vector<storage::TokenRecord> Authority::List() const {
  std::shared_lock lock(mutex_);
  std::vector<storage::TokenRecord> records;
  for (const auto& [name, token] : by_name_) records.push_back(token->record);
  return records;
}

absl::Status Authority::Delete(const std::string& name) {
  std::lock_guard change(change_mutex_);
  if (FindByName(name) == nullptr) {
    return storage::WithReason(absl::NotFoundError(fmt::format("token \"{}\" not found", name)),
                               "TOKEN_NOT_FOUND", {{"token", name}});
  }
  const absl::Status deleted = store_.DeleteToken(name);
  if (!deleted.ok()) return deleted;
  // It is valid no more, even where what is left could not be listed.
  std::lock_guard lock(mutex_);
  auto found = by_name_.find(name);
  if (found == by_name_.end()) return absl::OkStatus();
  by_hash_.erase(found->second->record.hash);
  by_certificate_.erase(found->second->record.certificate_name);
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
    if (known->record.admin && IsValid(*known, now_ns)) return absl::OkStatus();
    return absl::InvalidArgumentError(
        fmt::format("the admin token given is that of '{}', which is no valid admin token; give a "
                    "new one",
                    known->record.name));
  }
  return Changed(store_.PutToken(
      {.name = kFirstAdminName, .hash = hash, .create_time_ns = now_ns, .admin = true}));
}

bool Authority::HasAdmin(int64_t now_ns) const {
  std::shared_lock lock(mutex_);
  return std::any_of(by_name_.begin(), by_name_.end(), [&](const auto& named) {
    return named.second->record.admin && IsValid(*named.second, now_ns);
  });
}

}  // namespace sluice::auth

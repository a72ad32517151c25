#include "server/auth/first_admin.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <system_error>

#include "server/auth/token.h"
#include "storage/durable_file.h"

namespace sluice::auth {
namespace {

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  errno = 0;
  std::ifstream file(path);
  std::string token;
  if (file >> token) return token;
  return absl::InvalidArgumentError(
      fmt::format("no admin token in {}: {}", path,
                  errno == 0 ? "it is empty" : std::generic_category().message(errno)));
}

}  // namespace

absl::StatusOr<std::string> EnsureFirstAdmin(Authority& authority, const FirstAdminSource& source,
                                             int64_t now_ns) {
  absl::StatusOr<std::string> given = source.token;
  if (given->empty() && !source.file.empty()) given = ReadToken(source.file);
  if (!given.ok()) return given.status();
  if (!given->empty()) {
    absl::Status set = authority.SetFirstAdmin(*given, now_ns);
    if (set.ok()) return "";
    return absl::Status(
        set.code(), fmt::format("{}: {}", source.token.empty() ? source.file : "SLUICE_ADMIN_TOKEN",
                                std::string(set.message())));
  }
  if (authority.HasAdmin(now_ns)) return "";
  std::string path = source.data_dir + "/admin-token";
  std::string token = GenerateToken();
  absl::Status status = storage::WriteDurably(path, token + "\n", 0600);
  if (status.ok()) status = authority.SetFirstAdmin(token, now_ns);
  if (!status.ok()) return status;
  return path;
}

}  // namespace sluice::auth

#include "server/auth/first_admin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <system_error>

#include "server/auth/token.h"

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

// Whole or not at all, for its owner alone.
absl::Status WriteSecret(const std::string& path, const std::string& text) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  int file = open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  bool written = file >= 0 &&
                 write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                 fsync(file) == 0;
  int error = errno;
  if (file >= 0) close(file);
  if (written && std::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (written) error = errno;
  return absl::UnavailableError(
      fmt::format("cannot write {}: {}", path, std::generic_category().message(error)));
}

}  // namespace

absl::StatusOr<std::string> EnsureFirstAdmin(Authority& authority, const FirstAdminSource& source,
                                             int64_t now_ns) {
  absl::StatusOr<std::string> given = source.token;
  if (given->empty() && !source.file.empty()) given = ReadToken(source.file);
  if (!given.ok()) return given.status();
  if (!given->empty() || !source.file.empty()) {
    absl::Status set = authority.SetFirstAdmin(*given, now_ns);
    if (set.ok()) return "";
    return absl::Status(
        set.code(), fmt::format("{}: {}", source.token.empty() ? source.file : "SLUICE_ADMIN_TOKEN",
                                std::string(set.message())));
  }
  if (authority.HasAdmin(now_ns)) return "";
  std::string path = source.data_dir + "/admin-token";
  std::string token = GenerateToken();
  absl::Status status = WriteSecret(path, token + "\n");
  if (status.ok()) status = authority.SetFirstAdmin(token, now_ns);
  if (!status.ok()) return status;
  return path;
}

}  // namespace sluice::auth

#include "server/auth/first_admin.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <system_error>

#include "absl/strings/ascii.h"
#include "server/auth/token.h"

namespace sluice::auth {
namespace {

absl::StatusOr<std::string> ReadToken(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  if (!(text << file.rdbuf())) {
    return absl::InvalidArgumentError(fmt::format("cannot read the admin token from {}", path));
  }
  return std::string(absl::StripAsciiWhitespace(text.str()));
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
    if (!set.ok()) return set;
    return "";
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

#include "storage/names.h"

#include <algorithm>

#include "absl/strings/ascii.h"

namespace sluice::storage {
namespace {

constexpr size_t kMaxNameBytes = 64;

bool IsNameByte(char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-' || c == '/'; }

absl::Status Invalid(const char* what) {
  return absl::InvalidArgumentError(std::string("invalid database name: ") + what +
                                    "; a name is 1 to 64 letters, digits, '_' or '-', begins with "
                                    "a letter or digit, and may have "
                                    "one '/' within");
}

}  // namespace

absl::StatusOr<DatabaseName> DatabaseName::Parse(std::string_view text) {
  if (text.empty()) return Invalid("it is empty");
  if (text.size() > kMaxNameBytes) return Invalid("it is longer than 64 bytes");
  if (!absl::ascii_isalnum(text.front())) return Invalid("it begins with another character");
  if (!std::all_of(text.begin(), text.end(), IsNameByte)) return Invalid("it has other characters");
  if (std::count(text.begin(), text.end(), '/') > 1) return Invalid("it has more than one '/'");
  if (text.back() == '/') return Invalid("it ends with '/'");
  return DatabaseName(text);
}

}  // namespace sluice::storage

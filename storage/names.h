#ifndef SLUICE_STORAGE_NAMES_H_
#define SLUICE_STORAGE_NAMES_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sluice::storage {

// The name of a database. An object of this type holds a valid name (contract W-35): 1 to 64 bytes
// of [A-Za-z0-9_-], first a letter or digit, with at most one `/`, neither first nor last.
class DatabaseName {
 public:
  // InvalidArgument says what is wrong with `text`.
  static absl::StatusOr<DatabaseName> Parse(std::string_view text);

  const std::string& text() const { return text_; }

  friend bool operator==(const DatabaseName&, const DatabaseName&) = default;

 private:
  explicit DatabaseName(std::string_view text) : text_(text) {}

  std::string text_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_NAMES_H_

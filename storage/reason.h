#ifndef SLUICE_STORAGE_REASON_H_
#define SLUICE_STORAGE_REASON_H_

#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"

namespace sluice::storage {

// Why something failed, for programs: finer than a code, and not to be read out of a message
// (contract W-92). Names are for good: DATABASE_NOT_FOUND.
struct Reason {
  std::string name;
  // Figures that go with it.
  std::map<std::string, std::string> metadata = {};
};

// `status`, which is not OK, with its reason; one that it had is replaced.
absl::Status WithReason(absl::Status status, std::string_view name,
                        const std::map<std::string, std::string>& metadata = {});

// Nothing where it was made without.
std::optional<Reason> ReasonOf(const absl::Status& status);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_REASON_H_

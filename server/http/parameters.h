#ifndef SLUICE_SERVER_HTTP_PARAMETERS_H_
#define SLUICE_SERVER_HTTP_PARAMETERS_H_

#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace sluice::http {

// The path of a request target, decoded; and what follows its '?'.
std::string PathOf(std::string_view target);
std::string_view QueryOf(std::string_view target);

// The value of the first parameter of that name that can be decoded, in a query that need not be
// well formed as a whole; empty if there is none.
std::string FirstValue(std::string_view query, std::string_view name);

// The parameters of a request's query, percent-decoded, by name.
class Parameters {
 public:
  // InvalidArgument for a malformed escape and for a parameter given twice (contract W-37).
  static absl::StatusOr<Parameters> Parse(std::string_view query);

  // Empty if there is none of that name.
  std::string_view Get(const std::string& name) const;
  // A parameter that is "true" or "false"; `otherwise` where there is none. InvalidArgument for
  // anything else.
  absl::StatusOr<bool> GetBool(const std::string& name, bool otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_PARAMETERS_H_

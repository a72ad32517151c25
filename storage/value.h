#ifndef SLUICE_STORAGE_VALUE_H_
#define SLUICE_STORAGE_VALUE_H_

#include <cstdint>
#include <string_view>
#include <variant>

namespace sluice::storage {

// One value of a row, or std::monostate for none. Text, of a tag or a string field, belongs to
// whoever handed out the value.
using Value = std::variant<std::monostate, double, int64_t, uint64_t, std::string_view, bool>;

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_VALUE_H_

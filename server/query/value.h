#ifndef SLUICE_SERVER_QUERY_VALUE_H_
#define SLUICE_SERVER_QUERY_VALUE_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sluice::query {

// Raw bytes, as SQL expressions can make them.
struct Blob {
  std::string_view bytes;
};

// One value of a result; std::monostate is NULL. Text belongs to the query, until its next row.
using Value = std::variant<std::monostate, double, int64_t, uint64_t, std::string_view, bool, Blob>;
using Row = std::vector<Value>;

// One column of a result.
struct Column {
  // As the query named it.
  std::string name;
  // "time", "tag", "float", "integer", "unsigned", "string" or "boolean" where it is a column of a
  // table; empty for an expression.
  std::string type;
};

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_VALUE_H_

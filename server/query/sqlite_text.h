#ifndef SLUICE_SERVER_QUERY_SQLITE_TEXT_H_
#define SLUICE_SERVER_QUERY_SQLITE_TEXT_H_

#include <sqlite3.h>

#include <string_view>

namespace sluice::query {

// A value as text, which belongs to the value; SQLite converts numbers in place.
inline std::string_view TextOf(sqlite3_value* value) {
  const void* text = sqlite3_value_text(value);
  return {static_cast<const char*>(text), static_cast<size_t>(sqlite3_value_bytes(value))};
}

// Makes a copy of `text` a function's or column's result.
inline void SetText(sqlite3_context* context, std::string_view text) {
  sqlite3_result_text64(context, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_SQLITE_TEXT_H_

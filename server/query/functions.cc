#include "server/query/functions.h"

#include <sqlite3.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "server/query/sqlite_text.h"

namespace sluice::query {
namespace {

constexpr size_t kMaxTrimSetBytes = 1000;

std::string_view BlobOf(sqlite3_value* value) {
  const void* blob = sqlite3_value_blob(value);
  return {static_cast<const char*>(blob), static_cast<size_t>(sqlite3_value_bytes(value))};
}

bool AnyNull(sqlite3_value** values, int count) {
  return std::any_of(values, values + count,
                     [](sqlite3_value* value) { return sqlite3_value_type(value) == SQLITE_NULL; });
}

// glibc's memmem is linear, std::string_view::find is not.
size_t Find(std::string_view text, std::string_view wanted, size_t from) {
  if (wanted.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// Where the second argument first occurs in the first, from 1, in characters or, for two blobs, in
// bytes; 0 if it does not.
void Instr(sqlite3_context* context, int, sqlite3_value** values) {
  if (AnyNull(values, 2)) return;
  bool blobs =
      sqlite3_value_type(values[0]) == SQLITE_BLOB && sqlite3_value_type(values[1]) == SQLITE_BLOB;
  std::string_view text = blobs ? BlobOf(values[0]) : TextOf(values[0]);
  std::string_view wanted = blobs ? BlobOf(values[1]) : TextOf(values[1]);
  size_t at = Find(text, wanted, 0);
  if (at == std::string_view::npos) return sqlite3_result_int(context, 0);
  std::string_view before = text.substr(0, at);
  std::ptrdiff_t inside = blobs ? 0 : std::count_if(before.begin(), before.end(), IsContinuation);
  sqlite3_result_int64(context, static_cast<sqlite3_int64>(at) - inside + 1);
}

void Replace(sqlite3_context* context, int, sqlite3_value** values) {
  if (AnyNull(values, 2)) return;
  std::string_view text = TextOf(values[0]);
  std::string_view wanted = TextOf(values[1]);
  if (wanted.empty()) return sqlite3_result_value(context, values[0]);
  if (AnyNull(values + 2, 1)) return;
  std::string_view by = TextOf(values[2]);
  size_t max_bytes = static_cast<size_t>(
      sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1));
  std::string result;
  size_t from = 0;
  for (size_t at; (at = Find(text, wanted, from)) != std::string_view::npos;
       from = at + wanted.size()) {
    result.append(text.substr(from, at - from)).append(by);
    if (result.size() > max_bytes) return sqlite3_result_error_toobig(context);
  }
  result.append(text.substr(from));
  SetText(context, result);
}

std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    size_t size = 1;
    while (size < text.size() && IsContinuation(text[size])) ++size;
    characters.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return characters;
}

enum Sides : intptr_t { kLeft = 1, kRight = 2 };

void Trim(sqlite3_context* context, int, sqlite3_value** values) {
  if (AnyNull(values, 2)) return;
  std::string_view text = TextOf(values[0]);
  std::string_view set = TextOf(values[1]);
  if (set.size() > kMaxTrimSetBytes) {
    return sqlite3_result_error(context, "the second argument of trim() has more than 1000 bytes",
                                -1);
  }
  auto sides = reinterpret_cast<intptr_t>(sqlite3_user_data(context));
  std::vector<std::string_view> characters = Characters(set);
  auto match = [&](auto matches) {
    return std::find_if(characters.begin(), characters.end(), matches);
  };
  auto left = [&] { return match([&](std::string_view c) { return text.starts_with(c); }); };
  auto right = [&] { return match([&](std::string_view c) { return text.ends_with(c); }); };
  if ((sides & kLeft) != 0) {
    for (auto c = left(); c != characters.end(); c = left()) text.remove_prefix(c->size());
  }
  if ((sides & kRight) != 0) {
    for (auto c = right(); c != characters.end(); c = right()) text.remove_suffix(c->size());
  }
  SetText(context, text);
}

using Function = void (*)(sqlite3_context*, int, sqlite3_value**);

}  // namespace

int RegisterFunctions(sqlite3* connection) {
  auto add = [connection](const char* name, int arguments, intptr_t data, Function function) {
    return sqlite3_create_function_v2(
        connection, name, arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
        reinterpret_cast<void*>(data), function, nullptr, nullptr, nullptr);
  };
  // Result codes are zero for success.
  return add("instr", 2, 0, Instr) | add("replace", 3, 0, Replace) |
         add("trim", 2, kLeft | kRight, Trim) | add("ltrim", 2, kLeft, Trim) |
         add("rtrim", 2, kRight, Trim);
}

}  // namespace sluice::query

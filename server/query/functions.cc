#include "server/query/functions.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <string.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/ascii.h"
#include "server/query/pattern.h"
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

// In order.
std::vector<std::string_view> Characters(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    characters.push_back(FirstCharacter(text));
    text.remove_prefix(characters.back().size());
  }
  std::sort(characters.begin(), characters.end());
  return characters;
}

std::string_view LastCharacter(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && IsContinuation(text[begin])) --begin;
  return text.substr(begin);
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
  auto is_one = [&](std::string_view character) {
    return std::binary_search(characters.begin(), characters.end(), character);
  };
  while ((sides & kLeft) != 0 && !text.empty() && is_one(FirstCharacter(text))) {
    text.remove_prefix(FirstCharacter(text).size());
  }
  while ((sides & kRight) != 0 && !text.empty() && is_one(LastCharacter(text))) {
    text.remove_suffix(LastCharacter(text).size());
  }
  SetText(context, text);
}

int MaxBytes(sqlite3_context* context) {
  return sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LENGTH, -1);
}

void SetMatch(sqlite3_context* context, const Pattern& pattern, std::string_view text) {
  const auto& should_stop = *static_cast<const ShouldStop*>(sqlite3_user_data(context));
  const std::optional<bool> matches = pattern.Matches(text, should_stop);
  if (!matches) return sqlite3_result_error_code(context, SQLITE_INTERRUPT);
  sqlite3_result_int(context, *matches ? 1 : 0);
}

// As SQLite, with the option that distributions set: bytes match nothing.
bool AnyBlob(sqlite3_context* context, sqlite3_value** values) {
  if (sqlite3_value_type(values[0]) != SQLITE_BLOB &&
      sqlite3_value_type(values[1]) != SQLITE_BLOB) {
    return false;
  }
  sqlite3_result_int(context, 0);
  return true;
}

bool IsTooLong(sqlite3_context* context, sqlite3_value* pattern) {
  if (sqlite3_value_bytes(pattern) <=
      sqlite3_limit(sqlite3_context_db_handle(context), SQLITE_LIMIT_LIKE_PATTERN_LENGTH, -1)) {
    return false;
  }
  sqlite3_result_error(context, "LIKE or GLOB pattern too complex", -1);
  return true;
}

// X LIKE Y ESCAPE Z is like(Y, X, Z).
void Like(sqlite3_context* context, int count, sqlite3_value** values) {
  if (AnyBlob(context, values) || IsTooLong(context, values[0])) return;
  std::optional<std::string_view> escape;
  if (count == 3) {
    if (AnyNull(values + 2, 1)) return;
    escape = TextOf(values[2]);
    if (escape->empty() || FirstCharacter(*escape) != *escape) {
      return sqlite3_result_error(context, "ESCAPE expression must be a single character", -1);
    }
  }
  if (AnyNull(values, 2)) return;
  SetMatch(context, Pattern::Like(TextOf(values[0]), escape), TextOf(values[1]));
}

void Glob(sqlite3_context* context, int, sqlite3_value** values) {
  if (AnyBlob(context, values) || IsTooLong(context, values[0]) || AnyNull(values, 2)) return;
  SetMatch(context, Pattern::Glob(TextOf(values[0])), TextOf(values[1]));
}

// SQLite's printf() on a connection of its own, where nothing stands in its way. It can be asked
// for two thousand million spaces, which no limit on the result's size keeps it from counting.
class Printf {
 public:
  Printf() = default;
  ~Printf() {
    for (const auto& [count, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(connection_);
  }
  Printf(const Printf&) = delete;
  Printf& operator=(const Printf&) = delete;

  void Call(sqlite3_context* context, std::span<sqlite3_value*> values) {
    if (values.empty() || sqlite3_value_type(values[0]) == SQLITE_NULL) return;
    std::vector<sqlite3_value*> arguments;
    const std::optional<std::string> format =
        Rewrite(TextOf(values[0]), values.subspan(1), MaxBytes(context), arguments);
    if (!format) return sqlite3_result_error_toobig(context);
    sqlite3_stmt* statement = StatementFor(arguments.size(), MaxBytes(context));
    if (statement == nullptr) return sqlite3_result_error_nomem(context);
    sqlite3_bind_text64(statement, 1, format->data(), format->size(), SQLITE_TRANSIENT,
                        SQLITE_UTF8);
    for (size_t i = 0; i < arguments.size(); ++i) {
      sqlite3_bind_value(statement, static_cast<int>(i) + 2, arguments[i]);
    }
    if (sqlite3_step(statement) == SQLITE_ROW) {
      sqlite3_result_value(context, sqlite3_column_value(statement, 0));
    } else {
      sqlite3_result_error(context, sqlite3_errmsg(connection_), -1);
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }

 private:
  // The format with widths and precisions that are arguments written as numbers, and the arguments
  // that are left; nothing where the widths and precisions come to more than `max_bytes`.
  static std::optional<std::string> Rewrite(std::string_view format,
                                            std::span<sqlite3_value*> values, int max_bytes,
                                            std::vector<sqlite3_value*>& arguments) {
    std::string rewritten;
    sqlite3_int64 bytes = 0;
    size_t next = 0;
    size_t at = 0;
    auto peek = [&] { return at < format.size() ? format[at] : '\0'; };
    auto take_number = [&] {
      sqlite3_int64 number = 0;
      if (peek() == '*') {
        ++at;
        number = next < values.size() ? sqlite3_value_int(values[next]) : 0;
        ++next;
      } else {
        while (absl::ascii_isdigit(static_cast<unsigned char>(peek()))) {
          number = std::min<sqlite3_int64>(10 * number + (format[at++] - '0'), INT32_MAX);
        }
      }
      bytes += std::abs(number);
      return number;
    };
    while (at < format.size()) {
      rewritten += format[at];
      if (format[at++] != '%') continue;
      while (at < format.size() && std::string_view("-+ #!0,").find(peek()) != std::string::npos) {
        rewritten += format[at++];
      }
      // A negative width that is an argument means the left side.
      if (peek() == '*' || absl::ascii_isdigit(static_cast<unsigned char>(peek()))) {
        rewritten += fmt::format("{}", take_number());
      }
      if (peek() == '.') {
        ++at;
        rewritten += fmt::format(".{}", std::abs(take_number()));
      }
      while (peek() == 'l') rewritten += format[at++];
      if (at == format.size()) break;
      const char conversion = format[at++];
      // SQLite ends at what is no conversion; digits would become part of a number before them.
      if (conversion != '%' && !absl::ascii_isalpha(static_cast<unsigned char>(conversion))) break;
      rewritten += conversion;
      if (conversion == '%' || conversion == 'n') continue;
      if (next < values.size()) arguments.push_back(values[next]);
      ++next;
    }
    if (bytes > max_bytes) return std::nullopt;
    return rewritten;
  }

  // Null where there is no memory, or more arguments than a statement may have.
  sqlite3_stmt* StatementFor(size_t arguments, int max_bytes) {
    if (connection_ == nullptr) {
      if (sqlite3_open(":memory:", &connection_) != SQLITE_OK) return nullptr;
      sqlite3_limit(connection_, SQLITE_LIMIT_LENGTH, max_bytes);
    }
    auto [found, is_new] = statements_.try_emplace(arguments, nullptr);
    if (!is_new) return found->second;
    std::string sql = "SELECT printf(?";
    for (size_t i = 0; i < arguments; ++i) sql += ",?";
    sqlite3_prepare_v2(connection_, (sql + ")").c_str(), -1, &found->second, nullptr);
    return found->second;
  }

  sqlite3* connection_ = nullptr;
  // By the number of arguments.
  std::map<size_t, sqlite3_stmt*> statements_;
};

using Function = void (*)(sqlite3_context*, int, sqlite3_value**);

}  // namespace

int RegisterFunctions(sqlite3* connection, const ShouldStop& should_stop) {
  auto add = [connection](const char* name, int arguments, intptr_t data, Function function) {
    return sqlite3_create_function_v2(
        connection, name, arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
        reinterpret_cast<void*>(data), function, nullptr, nullptr, nullptr);
  };
  auto add_match = [&](const char* name, int arguments, Function function) {
    return sqlite3_create_function_v2(
        connection, name, arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
        const_cast<ShouldStop*>(&should_stop), function, nullptr, nullptr, nullptr);
  };
  auto add_printf = [&](const char* name) {
    return sqlite3_create_function_v2(
        connection, name, -1, SQLITE_UTF8 | SQLITE_DETERMINISTIC, new Printf(),
        [](sqlite3_context* context, int count, sqlite3_value** values) {
          static_cast<Printf*>(sqlite3_user_data(context))
              ->Call(context, std::span(values, static_cast<size_t>(count)));
        },
        nullptr, nullptr, [](void* data) { delete static_cast<Printf*>(data); });
  };
  // Result codes are zero for success.
  return add("instr", 2, 0, Instr) | add("replace", 3, 0, Replace) |
         add("trim", 2, kLeft | kRight, Trim) | add("ltrim", 2, kLeft, Trim) |
         add("rtrim", 2, kRight, Trim) | add_match("like", 2, Like) | add_match("like", 3, Like) |
         add_match("glob", 2, Glob) | add_printf("printf") | add_printf("format");
}

}  // namespace sluice::query

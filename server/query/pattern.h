#ifndef SLUICE_SERVER_QUERY_PATTERN_H_
#define SLUICE_SERVER_QUERY_PATTERN_H_

#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace sluice::query {

// A pattern of SQL's LIKE or of SQLite's GLOB. Where it has many wildcards matching takes the
// product of both lengths, as SQLite's own does, but it can be stopped.
class Pattern {
 public:
  // `%` is any characters, `_` one; what follows `escape` is itself. ASCII letters match in either
  // case. The text must outlive the pattern.
  static Pattern Like(std::string_view text, std::optional<std::string_view> escape);
  // `*` is any characters, `?` one, `[a-z]` one of these, `[^a-z]` one of all others.
  static Pattern Glob(std::string_view text);

  // Nothing where `should_stop`, asked now and then, said so.
  std::optional<bool> Matches(std::string_view text,
                              const std::function<bool()>& should_stop) const;

 private:
  enum class Kind { kAny, kOne, kCharacter, kSet };
  struct Token {
    Kind kind;
    // A character, or what stands between the brackets.
    std::string_view text = {};
    bool negated = false;
  };

  bool Fits(const Token& token, std::string_view character) const;

  std::vector<Token> tokens_;
  bool ignores_case_ = false;
  // It ends in the middle of something, and matches nothing.
  bool broken_ = false;
};

// The first character of a text that is not empty, as UTF-8 has it.
std::string_view FirstCharacter(std::string_view text);

}  // namespace sluice::query

#endif  // SLUICE_SERVER_QUERY_PATTERN_H_

#include "server/query/pattern.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"

namespace sluice::query {
namespace {

constexpr size_t kStepsBetweenLooks = size_t{1} << 16;

bool IsContinuation(char c) { return (static_cast<uint8_t>(c) & 0xC0) == 0x80; }

// UTF-8 sorts as code points do.
bool InSet(std::string_view set, std::string_view character) {
  // A bracket that comes first begins no range.
  if (set.starts_with(']')) {
    if (character == "]") return true;
    set.remove_prefix(1);
    if (set.starts_with('-') && character == "-") return true;
    if (set.starts_with('-')) set.remove_prefix(1);
  }
  while (!set.empty()) {
    const std::string_view low = FirstCharacter(set);
    if (low == character) return true;
    set.remove_prefix(low.size());
    // A minus at the end is itself.
    if (set.size() > 1 && set[0] == '-') {
      set.remove_prefix(1);
      const std::string_view high = FirstCharacter(set);
      set.remove_prefix(high.size());
      if (low <= character && character <= high) return true;
    }
  }
  return false;
}

}  // namespace

std::string_view FirstCharacter(std::string_view text) {
  size_t size = 1;
  while (size < text.size() && IsContinuation(text[size])) ++size;
  return text.substr(0, size);
}

Pattern Pattern::Like(std::string_view text, std::optional<std::string_view> escape) {
  Pattern pattern;
  pattern.ignores_case_ = true;
  while (!text.empty()) {
    std::string_view character = FirstCharacter(text);
    text.remove_prefix(character.size());
    if (escape && character == *escape) {
      if (text.empty()) {
        pattern.broken_ = true;
        break;
      }
      character = FirstCharacter(text);
      text.remove_prefix(character.size());
      pattern.tokens_.push_back({Kind::kCharacter, character});
    } else if (character == "%") {
      pattern.tokens_.push_back({Kind::kAny});
    } else if (character == "_") {
      pattern.tokens_.push_back({Kind::kOne});
    } else {
      pattern.tokens_.push_back({Kind::kCharacter, character});
    }
  }
  return pattern;
}

Pattern Pattern::Glob(std::string_view text) {
  Pattern pattern;
  while (!text.empty()) {
    const std::string_view character = FirstCharacter(text);
    text.remove_prefix(character.size());
    if (character == "*") {
      pattern.tokens_.push_back({Kind::kAny});
    } else if (character == "?") {
      pattern.tokens_.push_back({Kind::kOne});
    } else if (character == "[") {
      const bool negated = !text.empty() && text[0] == '^';
      if (negated) text.remove_prefix(1);
      // A bracket that comes first is one of the characters.
      const size_t end = text.find(']', 1);
      if (text.empty() || end == std::string_view::npos) {
        pattern.broken_ = true;
        break;
      }
      pattern.tokens_.push_back({Kind::kSet, text.substr(0, end), negated});
      text.remove_prefix(end + 1);
    } else {
      pattern.tokens_.push_back({Kind::kCharacter, character});
    }
  }
  return pattern;
}

bool Pattern::Fits(const Token& token, std::string_view character) const {
  switch (token.kind) {
    case Kind::kAny:
      return false;
    case Kind::kOne:
      return true;
    case Kind::kSet:
      return InSet(token.text, character) != token.negated;
    case Kind::kCharacter:
      break;
  }
  if (!ignores_case_ || token.text.size() != 1 || character.size() != 1) {
    return token.text == character;
  }
  return absl::ascii_tolower(static_cast<unsigned char>(token.text[0])) ==
         absl::ascii_tolower(static_cast<unsigned char>(character[0]));
}

// Takes what fits, and where something does not, lets the last wildcard take one character more.
std::optional<bool> Pattern::Matches(std::string_view text,
                                     const std::function<bool()>& should_stop) const {
  if (broken_) return false;
  constexpr size_t kNone = ~size_t{0};
  size_t token = 0;
  size_t at = 0;
  // Behind the last wildcard, and from where its rest is tried.
  size_t retry_token = kNone;
  size_t retry_at = 0;
  for (size_t steps = 1; at < text.size(); ++steps) {
    if (steps % kStepsBetweenLooks == 0 && should_stop && should_stop()) return std::nullopt;
    if (token < tokens_.size() && tokens_[token].kind == Kind::kAny) {
      retry_token = ++token;
      retry_at = at;
      if (retry_token == tokens_.size()) return true;
      continue;
    }
    const std::string_view character = FirstCharacter(text.substr(at));
    if (token < tokens_.size() && Fits(tokens_[token], character)) {
      ++token;
      at += character.size();
      continue;
    }
    if (retry_token == kNone) return false;
    retry_at += FirstCharacter(text.substr(retry_at)).size();
    at = retry_at;
    token = retry_token;
  }
  return std::all_of(tokens_.begin() + static_cast<std::ptrdiff_t>(token), tokens_.end(),
                     [](const Token& left) { return left.kind == Kind::kAny; });
}

}  // namespace sluice::query

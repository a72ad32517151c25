#include "server/http/parameters.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace sluice::http {
namespace {

std::optional<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      unsigned char byte = 0;
      const char* end = text.data() + std::min(i + 3, text.size());
      auto parsed = std::from_chars(text.data() + i + 1, end, byte, 16);
      if (i + 3 > text.size() || parsed.ptr != end) return std::nullopt;
      decoded.push_back(static_cast<char>(byte));
      i += 2;
    }
  }
  return decoded;
}

struct Pair {
  // As sent.
  std::string_view text;
  // Decoded; nothing where they cannot be.
  std::optional<std::string> name;
  std::optional<std::string> value;
};

// Takes the first pair away from the query.
Pair TakePair(std::string_view& query) {
  std::string_view text = query.substr(0, query.find('&'));
  query.remove_prefix(std::min(text.size() + 1, query.size()));
  size_t equals = std::min(text.find('='), text.size());
  return {text, Decode(text.substr(0, equals), true),
          Decode(text.substr(std::min(equals + 1, text.size())), true)};
}

}  // namespace

std::string PathOf(std::string_view target) {
  std::string_view path = target.substr(0, target.find_first_of("?#"));
  return Decode(path, false).value_or(std::string(path));
}

std::string_view QueryOf(std::string_view target) {
  size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {};
  std::string_view query = target.substr(mark + 1);
  return query.substr(0, query.find('#'));
}

std::string FirstValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    Pair pair = TakePair(query);
    if (pair.name && pair.value && *pair.name == name) return *pair.value;
  }
  return "";
}

absl::StatusOr<Parameters> Parameters::Parse(std::string_view query) {
  Parameters parameters;
  while (!query.empty()) {
    Pair pair = TakePair(query);
    if (pair.text.empty()) continue;
    if (!pair.name || !pair.value) {
      return absl::InvalidArgumentError(
          fmt::format("malformed percent-encoding in the query parameter '{}'", pair.text));
    }
    if (!parameters.values_.emplace(*pair.name, *std::move(pair.value)).second) {
      return absl::InvalidArgumentError(
          fmt::format("the query parameter '{}' is given more than once", *pair.name));
    }
  }
  return parameters;
}

std::string_view Parameters::Get(const std::string& name) const {
  auto found = values_.find(name);
  return found == values_.end() ? std::string_view() : found->second;
}

absl::StatusOr<bool> Parameters::GetBool(const std::string& name, bool otherwise) const {
  std::string_view value = Get(name);
  if (value.empty()) return otherwise;
  if (value == "true") return true;
  if (value == "false") return false;
  return absl::InvalidArgumentError(
      fmt::format("the query parameter '{}' is 'true' or 'false', not '{}'", name, value));
}

}  // namespace sluice::http

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

absl::StatusOr<Parameters> Parameters::Parse(std::string_view query) {
  Parameters parameters;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> name = Decode(pair.substr(0, equals), true);
    std::optional<std::string> value = Decode(pair.substr(std::min(equals + 1, pair.size())), true);
    if (!name || !value) {
      return absl::InvalidArgumentError(
          fmt::format("malformed percent-encoding in the query parameter '{}'", pair));
    }
    if (!parameters.values_.emplace(*name, *std::move(value)).second) {
      return absl::InvalidArgumentError(
          fmt::format("the query parameter '{}' is given more than once", *name));
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

#ifndef SLUICE_SERVER_LINEPROTOCOL_CHARACTERS_H_
#define SLUICE_SERVER_LINEPROTOCOL_CHARACTERS_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::lineprotocol {

// Where a stretch of plain text ends, by what it is part of.
enum Stop : uint8_t {
  kMeasurementStop = 1,  // blank, newline, NUL, ',' or backslash
  kKeyStop = 2,          // blank, newline, '=' or backslash
  kTagValueStop = 4,     // blank, newline, ',' or backslash
  kPlainKeyStop = 8,     // as kKeyStop, and ',' or '"'
};

namespace internal {

constexpr std::array<uint8_t, 256> MakeStops() {
  std::array<uint8_t, 256> stops{};
  auto add = [&stops](std::string_view characters, int kinds) {
    for (char c : characters) stops[static_cast<uint8_t>(c)] |= static_cast<uint8_t>(kinds);
  };
  add(" \t\n\\", kMeasurementStop | kKeyStop | kTagValueStop | kPlainKeyStop);
  add(",", kMeasurementStop | kTagValueStop | kPlainKeyStop);
  add("=", kKeyStop | kPlainKeyStop);
  add("\"", kPlainKeyStop);
  add(std::string_view("\0", 1), kMeasurementStop);
  return stops;
}

inline constexpr std::array<uint8_t, 256> kStops = MakeStops();

}  // namespace internal

// The first position at or after `begin` where `stop` ends, or the end of `text`.
inline size_t FindStop(std::string_view text, size_t begin, Stop stop) {
  while (begin < text.size() && (internal::kStops[static_cast<uint8_t>(text[begin])] & stop) == 0) {
    ++begin;
  }
  return begin;
}

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_CHARACTERS_H_

#include "server/ingest/utf8.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cstdint>

namespace sluice::ingest {
namespace {

// How many bytes the character at the start of `text` has; 0 where there is none. Unicode 15,
// table 3-7.
size_t CharacterBytes(std::string_view text) {
  auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : uint8_t{0};
  };
  auto within = [](uint8_t b, uint8_t low, uint8_t high) { return b >= low && b <= high; };
  uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (!within(lead, 0xC2, 0xF4)) return 0;
  uint8_t low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  uint8_t high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (!within(byte(1), low, high)) return 0;
  for (size_t i = 2; i < size; ++i) {
    if (!within(byte(i), 0x80, 0xBF)) return 0;
  }
  return size;
}

}  // namespace

absl::Status CheckUtf8(std::string_view body) {
  if (simdjson::validate_utf8(body.data(), body.size())) return absl::OkStatus();
  size_t index = 0;
  while (size_t size = CharacterBytes(body.substr(index))) index += size;
  return absl::InvalidArgumentError(fmt::format(
      "body content is not valid utf8: invalid utf-8 sequence starting at index {}", index));
}

bool IsUtf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::string_view CutUtf8(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return text;
  const auto continues = [&](size_t i) { return (static_cast<uint8_t>(text[i]) & 0xC0) == 0x80; };
  while (max_bytes > 0 && continues(max_bytes)) --max_bytes;
  return text.substr(0, max_bytes);
}

}  // namespace sluice::ingest

#include "storage/retention.h"

#include <fmt/format.h>

#include <charconv>

namespace sluice::storage {
namespace {

constexpr int64_t kSecond = 1'000'000'000;

// Zero for what is no unit.
int64_t UnitNs(char unit) {
  switch (unit) {
    case 'y':
      return 365 * 86400 * kSecond;
    case 'w':
      return 7 * 86400 * kSecond;
    case 'd':
      return 86400 * kSecond;
    case 'h':
      return 3600 * kSecond;
    case 'm':
      return 60 * kSecond;
    case 's':
      return kSecond;
    default:
      return 0;
  }
}

}  // namespace

absl::Status CheckRetention(int64_t retention_ns) {
  if (retention_ns > 0 && retention_ns <= kMaxRetentionNs) return absl::OkStatus();
  return absl::InvalidArgumentError("a period is longer than nothing and at most 100 years");
}

absl::StatusOr<std::optional<int64_t>> ParseRetention(std::string_view text) {
  if (text == "none") return std::nullopt;
  const std::string_view all = text;
  int64_t total_ns = 0;
  bool overflows = false;
  bool valid = !text.empty();
  while (valid && !text.empty()) {
    int64_t count = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    text.remove_prefix(static_cast<size_t>(end - text.data()));
    overflows |= error == std::errc::result_out_of_range;
    valid =
        error != std::errc::invalid_argument && count >= 0 && !text.empty() && UnitNs(text[0]) > 0;
    if (!valid) break;
    int64_t part_ns = 0;
    overflows |= __builtin_mul_overflow(count, UnitNs(text[0]), &part_ns) ||
                 __builtin_add_overflow(total_ns, part_ns, &total_ns);
    text.remove_prefix(1);
  }
  if (!valid) {
    return absl::InvalidArgumentError(fmt::format(
        "'{}' is not a period; write 30d, 2w3d, 12h, 1y (units y w d h m s) or none", all));
  }
  absl::Status checked = CheckRetention(overflows ? 0 : total_ns);
  if (!checked.ok()) return checked;
  return total_ns;
}

}  // namespace sluice::storage

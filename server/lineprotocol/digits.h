#ifndef SLUICE_SERVER_LINEPROTOCOL_DIGITS_H_
#define SLUICE_SERVER_LINEPROTOCOL_DIGITS_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sluice::lineprotocol {

// A number without sign, and how many digits it was written with.
struct Digits {
  uint64_t value = 0;
  size_t count = 0;
};

// So many bytes must be readable from where ReadDigits begins.
inline constexpr size_t kDigitsRoom = 24;
// With more digits than this the value may have overflowed.
inline constexpr size_t kMaxDigits = 19;

namespace internal {

inline constexpr uint64_t kPowersOfTen[] = {1,      10,      100,      1000,     10000,
                                            100000, 1000000, 10000000, 100000000};

// The digits at `at`, at most eight. Eight characters are looked at as one word; the arithmetic is
// that of D. Lemire, "Quickly parsing eight digits" (2018).
inline Digits ReadEight(const char* at) {
  static_assert(std::endian::native == std::endian::little);
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  word ^= 0x3030303030303030;
  // The high bit of each byte that is no digit; what is carried spoils only bytes after the first.
  const uint64_t others = ((word + 0x7676767676767676) | word) & 0x8080808080808080;
  const size_t count = others == 0 ? 8 : static_cast<size_t>(std::countr_zero(others)) / 8;
  if (count == 0) return {};
  // As if zeros came before them.
  word <<= 8 * (8 - count);
  word = word * 10 + (word >> 8);
  const uint64_t value = (((word & 0x000000FF000000FF) * 0x000F424000000064) +
                          (((word >> 16) & 0x000000FF000000FF) * 0x0000271000000001)) >>
                         32;
  return {value, count};
}

}  // namespace internal

// The digits at `at`, as many as there are up to 24; the value is right for up to kMaxDigits.
inline Digits ReadDigits(const char* at) {
  Digits digits = internal::ReadEight(at);
  for (int round = 0; round < 2 && digits.count == 8u * (static_cast<size_t>(round) + 1); ++round) {
    const Digits more = internal::ReadEight(at + digits.count);
    digits.value = digits.value * internal::kPowersOfTen[more.count] + more.value;
    digits.count += more.count;
  }
  return digits;
}

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_DIGITS_H_

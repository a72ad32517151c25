#ifndef SLUICE_STORAGE_TIMESTAMP_H_
#define SLUICE_STORAGE_TIMESTAMP_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::storage {

// The system's clock: nanoseconds since the epoch.
int64_t NowNs();

// `time_ns`, nanoseconds since the epoch, as RFC 3339 in UTC with nine digits of fraction:
// 2026-01-31T07:08:09.000000001Z. Always 30 bytes, so that texts sort as times do.
std::string FormatTimestamp(int64_t time_ns);

// The reverse, generously: a date; a date, 'T' or a space, and a time with or without seconds and
// fraction, in UTC unless an offset (Z, +01:00) says otherwise; or a whole number of nanoseconds
// since the epoch. Times out of the range of 64 bits become its nearest end. Nothing where `text`
// is none of these.
std::optional<int64_t> ParseTimestamp(std::string_view text);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_TIMESTAMP_H_

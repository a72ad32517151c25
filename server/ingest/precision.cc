#include "server/ingest/precision.h"

namespace sluice::ingest {
namespace {

constexpr int64_t kMicrosecond = 1'000;
constexpr int64_t kMillisecond = 1'000'000;
constexpr int64_t kSecond = 1'000'000'000;

int64_t UnitNs(Precision precision) {
  switch (precision) {
    case Precision::kNanosecond:
    case Precision::kAuto:
      return 1;
    case Precision::kMicrosecond:
      return kMicrosecond;
    case Precision::kMillisecond:
      return kMillisecond;
    case Precision::kSecond:
      return kSecond;
    case Precision::kMinute:
      return 60 * kSecond;
    case Precision::kHour:
      return 3600 * kSecond;
  }
  return 1;
}

// Contract W-31: read as nanoseconds, a present-day timestamp in seconds is under five of them.
Precision Guess(int64_t timestamp) {
  int64_t quotient = timestamp / kSecond;
  int64_t seconds = quotient < 0 ? -quotient : quotient;
  if (seconds < 5) return Precision::kSecond;
  if (seconds < 5'000) return Precision::kMillisecond;
  if (seconds < 5'000'000) return Precision::kMicrosecond;
  return Precision::kNanosecond;
}

}  // namespace

std::optional<int64_t> ToNanoseconds(int64_t timestamp, Precision precision) {
  if (precision == Precision::kAuto) precision = Guess(timestamp);
  int64_t time_ns = 0;
  if (__builtin_mul_overflow(timestamp, UnitNs(precision), &time_ns)) return std::nullopt;
  return time_ns;
}

int64_t Truncate(int64_t time_ns, Precision precision) {
  return time_ns - time_ns % UnitNs(precision);
}

}  // namespace sluice::ingest

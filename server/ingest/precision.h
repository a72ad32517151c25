#ifndef SLUICE_SERVER_INGEST_PRECISION_H_
#define SLUICE_SERVER_INGEST_PRECISION_H_

#include <cstdint>
#include <optional>

namespace sluice::ingest {

// The unit of a request's timestamps. kAuto guesses it for each (contract W-31).
enum class Precision { kNanosecond, kMicrosecond, kMillisecond, kSecond, kMinute, kHour, kAuto };

// `timestamp` in nanoseconds, or nothing if that overflows (contract W-32).
std::optional<int64_t> ToNanoseconds(int64_t timestamp, Precision precision);

// `time_ns` truncated to the unit: what a line without a timestamp gets (contract W-33).
int64_t Truncate(int64_t time_ns, Precision precision);

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_PRECISION_H_

#ifndef SLUICE_CLIENT_PRECISION_H_
#define SLUICE_CLIENT_PRECISION_H_

namespace sluice::client {

// The unit of timestamps; kAuto guesses it for each point from its magnitude.
enum class Precision { kNanosecond, kMicrosecond, kMillisecond, kSecond, kAuto };

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_PRECISION_H_

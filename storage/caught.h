#ifndef SLUICE_STORAGE_CAUGHT_H_
#define SLUICE_STORAGE_CAUGHT_H_

#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include "absl/status/status.h"

namespace sluice::storage {

// Runs `act`, which returns a Status, a StatusOr or nothing, at the root of a thread or of a
// request. Nothing of ours throws, but memory that cannot be had does, and so may a library: that
// ends what was being done, with Unavailable or Internal, and not the process.
template <typename Act>
auto Caught(Act&& act)
    -> std::conditional_t<std::is_void_v<decltype(act())>, absl::Status, decltype(act())> {
  try {
    if constexpr (std::is_void_v<decltype(act())>) {
      act();
      return absl::OkStatus();
    } else {
      return act();
    }
  } catch (const std::bad_alloc&) {
    return absl::UnavailableError("out of memory");
  } catch (const std::exception& error) {
    return absl::InternalError(std::string("unexpected: ") + error.what());
  }
}

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_CAUGHT_H_

#include "server/memory_budget.h"

#include <fmt/format.h>

#include <algorithm>

namespace sluice::server {

absl::Status MemoryBudget::Share::Grow(size_t bytes) {
  size_t used = budget_.used_bytes_;
  do {
    if (elsewhere_bytes_ && bytes_ + *elsewhere_bytes_ + bytes > budget_.max_bytes_) {
      return absl::ResourceExhaustedError(
          fmt::format("the request needs more memory than the server has for all ({} bytes); send "
                      "it in smaller parts",
                      budget_.max_bytes_));
    }
    if (bytes > budget_.max_bytes_ - used) {
      return absl::UnavailableError(fmt::format(
          "the memory for requests under way ({} bytes) is used up", budget_.max_bytes_));
    }
  } while (!budget_.used_bytes_.compare_exchange_weak(used, used + bytes));
  bytes_ += bytes;
  return absl::OkStatus();
}

void MemoryBudget::Share::Shrink(size_t bytes) {
  bytes = std::min(bytes, bytes_);
  budget_.used_bytes_ -= bytes;
  bytes_ -= bytes;
}

void MemoryBudget::Share::Clear() { Shrink(bytes_); }

}  // namespace sluice::server

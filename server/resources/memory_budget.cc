#include "server/resources/memory_budget.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "storage/reason.h"

namespace sluice::server {
namespace {

constexpr size_t kLargeBodyBytes = 256 << 10;

}  // namespace

bool MemoryBudget::Share::Take(size_t bytes, size_t leave_bytes) {
  size_t used = budget_.used_bytes_;
  do {
    if (used > budget_.max_bytes_ || bytes + leave_bytes > budget_.max_bytes_ - used) return false;
  } while (!budget_.used_bytes_.compare_exchange_weak(used, used + bytes));
  bytes_ += bytes;
  return true;
}

absl::Status MemoryBudget::Share::Grow(size_t bytes, size_t leave_bytes) {
  if (bytes_ + bytes > budget_.max_bytes_) {
    return storage::WithReason(
        absl::ResourceExhaustedError(fmt::format(
            "the request needs more memory than the server has for all ({} bytes); send it in "
            "smaller parts",
            budget_.max_bytes_)),
        "BODY_TOO_LARGE", {{"memory_bytes", std::to_string(budget_.max_bytes_)}});
  }
  return Take(bytes, leave_bytes) ? absl::OkStatus() : budget_.UsedUp();
}

absl::Status MemoryBudget::Share::GrowBody(size_t bytes) {
  // Who is alone leaves nobody without.
  const bool large = bytes_ + bytes > kLargeBodyBytes && budget_.used_bytes_ > bytes_;
  return Take(bytes, large ? budget_.max_bytes_ / 4 : 0) ? absl::OkStatus() : budget_.UsedUp();
}

void MemoryBudget::Share::Add(size_t bytes) {
  budget_.used_bytes_ += bytes;
  bytes_ += bytes;
}

absl::Status MemoryBudget::Check() const {
  return used_bytes_ < max_bytes_ ? absl::OkStatus() : UsedUp();
}

absl::Status MemoryBudget::UsedUp() const {
  return storage::WithReason(
      absl::UnavailableError(
          fmt::format("the memory for requests under way ({} bytes) is used up", max_bytes_)),
      "MEMORY_BUDGET", {{"memory_bytes", std::to_string(max_bytes_)}});
}

void MemoryBudget::Share::Shrink(size_t bytes) {
  bytes = std::min(bytes, bytes_);
  budget_.used_bytes_ -= bytes;
  bytes_ -= bytes;
}

void MemoryBudget::Share::Clear() { Shrink(bytes_); }

absl::Status BodyTooLarge(size_t max_bytes) {
  return storage::WithReason(
      absl::ResourceExhaustedError(fmt::format("max request size ({} bytes) exceeded", max_bytes)),
      "BODY_TOO_LARGE", {{"max_bytes", std::to_string(max_bytes)}});
}

}  // namespace sluice::server

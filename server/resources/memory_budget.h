#ifndef SLUICE_SERVER_RESOURCES_MEMORY_BUDGET_H_
#define SLUICE_SERVER_RESOURCES_MEMORY_BUDGET_H_

#include <atomic>
#include <cstddef>

#include "absl/status/status.h"

namespace sluice::server {

// How many bytes all requests of a kind that are under way may take together (contract W-9):
// bodies, compressed and decompressed, and what is made of them, charged as it grows. Safe for use
// by many threads.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t max_bytes) : max_bytes_(max_bytes) {}

  size_t max_bytes() const { return max_bytes_; }
  size_t used_bytes() const { return used_bytes_; }
  // Unavailable where nothing is left.
  absl::Status Check() const;

  // A part of the budget, given back when it goes. For one thread at a time.
  class Share {
   public:
    // The budget must outlive it.
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    ~Share() { Clear(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // Unavailable, and nothing is taken, where the budget does not have so many bytes more and
    // `leave_bytes` for others; ResourceExhausted where it would not have the former even if there
    // were no other share.
    absl::Status Grow(size_t bytes, size_t leave_bytes = 0);
    // For a body, of which the largest that is taken fits: Unavailable or OK. A large one leaves a
    // part to small ones, which else would never find room beside many of its kind.
    absl::Status GrowBody(size_t bytes);
    // Takes it in any case: for what is there already. There may be less than nothing left then.
    void Add(size_t bytes);
    const MemoryBudget& budget() const { return budget_; }

    // Gives back some of it.
    void Shrink(size_t bytes);
    void Clear();

   private:
    bool Take(size_t bytes, size_t leave_bytes);

    MemoryBudget& budget_;
    size_t bytes_ = 0;
  };

 private:
  absl::Status UsedUp() const;

  const size_t max_bytes_;
  std::atomic<size_t> used_bytes_ = 0;
};

// ResourceExhausted, for a body over the limit, wherever that is found (contract W-7).
absl::Status BodyTooLarge(size_t max_bytes);

}  // namespace sluice::server

#endif  // SLUICE_SERVER_RESOURCES_MEMORY_BUDGET_H_

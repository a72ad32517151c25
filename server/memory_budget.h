#ifndef SLUICE_SERVER_MEMORY_BUDGET_H_
#define SLUICE_SERVER_MEMORY_BUDGET_H_

#include <atomic>
#include <cstddef>

#include "absl/status/status.h"

namespace sluice::server {

// How many bytes the bodies of all requests under way may take together, compressed and
// decompressed, and as much again as the latter while they are judged (contract W-9). That is what
// judging takes of common data. Where each line has one of very many columns it takes many times as
// much; only so many bodies are judged at once as there are workers. Safe for use by many threads.
class MemoryBudget {
 public:
  explicit MemoryBudget(size_t max_bytes) : max_bytes_(max_bytes) {}

  size_t max_bytes() const { return max_bytes_; }
  size_t used_bytes() const { return used_bytes_; }

  // A part of the budget, given back when it goes. For one thread at a time.
  class Share {
   public:
    // The budget must outlive it.
    explicit Share(MemoryBudget& budget) : budget_(budget) {}
    ~Share() { Clear(); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    // Unavailable, and nothing is taken, where the budget does not have so many bytes more.
    absl::Status Grow(size_t bytes);
    void Clear();

   private:
    MemoryBudget& budget_;
    size_t bytes_ = 0;
  };

 private:
  const size_t max_bytes_;
  std::atomic<size_t> used_bytes_ = 0;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_MEMORY_BUDGET_H_

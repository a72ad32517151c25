#ifndef SLUICE_STORAGE_DISTRIBUTION_H_
#define SLUICE_STORAGE_DISTRIBUTION_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace sluice::storage {

// How long something took, each time, for those who watch the server: from half a millisecond to a
// minute.
inline constexpr std::array<double, 17> kSecondsBounds = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60};

// A count for each of kSecondsBounds, of what took no longer and longer than the one before, and
// one for what took longer than all.
struct Distribution {
  std::array<uint64_t, kSecondsBounds.size() + 1> counts{};
  double sum_seconds = 0;
};

// Counts while it is read. Safe for use by many threads.
class DurationCounter {
 public:
  void Observe(std::chrono::nanoseconds duration) {
    const double seconds = std::chrono::duration<double>(duration).count();
    size_t bucket = 0;
    while (bucket < kSecondsBounds.size() && seconds > kSecondsBounds[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_ns_.fetch_add(static_cast<uint64_t>(duration.count()), std::memory_order_relaxed);
  }
  Distribution Read() const {
    Distribution read;
    for (size_t i = 0; i < counts_.size(); ++i) {
      read.counts[i] = counts_[i].load(std::memory_order_relaxed);
    }
    read.sum_seconds = static_cast<double>(sum_ns_.load(std::memory_order_relaxed)) / 1e9;
    return read;
  }

 private:
  std::array<std::atomic<uint64_t>, kSecondsBounds.size() + 1> counts_{};
  std::atomic<uint64_t> sum_ns_ = 0;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_DISTRIBUTION_H_

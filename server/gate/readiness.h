#ifndef SLUICE_SERVER_GATE_READINESS_H_
#define SLUICE_SERVER_GATE_READINESS_H_

#include <atomic>

#include "absl/status/status.h"
#include "storage/reason.h"
#include "storage/store.h"

namespace sluice::server {

// Whether the server takes writes now: the answer to /ready, and of every write that comes while it
// does not (contract W-9). Safe for use by many threads.
class Readiness {
 public:
  // `store` must outlive it.
  explicit Readiness(const storage::Store& store) : store_(store) {}

  // From now on the server only ends what is under way.
  void Drain() { draining_ = true; }

  // Whether writes are taken: Unavailable, and why. Costs nothing.
  absl::Status Check() const {
    absl::Status serving = CheckServing();
    return serving.ok() ? store_.CheckWritable() : serving;
  }

  // The same of all else.
  absl::Status CheckServing() const {
    if (draining_) {
      return storage::WithReason(absl::UnavailableError("the server is shutting down"),
                                 "SHUTTING_DOWN");
    }
    absl::Status usable = store_.CheckUsable();
    if (usable.ok()) return usable;
    return storage::WithReason(
        absl::UnavailableError("a fault of the disk stopped the store; it must be opened again"),
        "STORE_STOPPED");
  }

 private:
  const storage::Store& store_;
  std::atomic<bool> draining_ = false;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_GATE_READINESS_H_

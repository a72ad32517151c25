#ifndef SLUICE_SERVER_RESOURCES_WORKERS_H_
#define SLUICE_SERVER_RESOURCES_WORKERS_H_

#include <cstddef>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "storage/distribution.h"

namespace sluice::server {

// Threads for work that takes its time or waits for the disk, so that those of the doors do
// neither. Safe for use by many threads.
class Workers {
 public:
  explicit Workers(size_t threads);
  // Waits for everything that was posted.
  ~Workers();

  // Runs `work` soon. Never blocks.
  void Post(absl::AnyInvocable<void()> work);

  // How long what was posted has waited for a thread.
  storage::Distribution waits() const { return waits_.Read(); }

 private:
  class Pool;

  storage::DurationCounter waits_;
  const std::unique_ptr<Pool> pool_;
};

}  // namespace sluice::server

#endif  // SLUICE_SERVER_RESOURCES_WORKERS_H_

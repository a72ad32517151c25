#ifndef SLUICE_SERVER_GRPC_REQUEST_IDS_H_
#define SLUICE_SERVER_GRPC_REQUEST_IDS_H_

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sluice/v1/write.pb.h"

namespace sluice::grpc_door {

// What a write was answered with.
struct WriteAnswer {
  grpc::Status status;
  v1::WriteResponse response;
};

// InvalidArgument where it is neither empty nor 1 to 64 bytes of [A-Za-z0-9_-]. `field` is its own.
absl::Status CheckId(const std::string& id, std::string_view field);

// Remembers what requests with an id were answered with, so that one that is repeated is not done
// again (contract W-90). Safe for use by many threads.
class RequestIds {
 public:
  using Clock = std::chrono::steady_clock;
  using AnswerPtr = std::shared_ptr<const WriteAnswer>;
  // Told the answer of the first request, or null where that has come to nothing that lasts.
  using Repeat = std::function<void(const AnswerPtr&)>;

  // `max_bytes` is what it may take, roughly.
  explicit RequestIds(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Of requests of one key (whose, where, which id) true for the first, which has to End; false for
  // one that repeats it: `repeat` is called now, or when the first ends. Where the place is another
  // one by now, as a database that was dropped and made again is, nothing is repeated: `place`
  // tells one from the other. InvalidArgument for another request under the same id, by its
  // fingerprint; Unavailable where no more can be remembered, or no more of `principal`: nobody
  // takes more than half of what the others leave.
  absl::StatusOr<bool> Begin(const std::string& principal, const std::string& key, int64_t place,
                             const std::string& fingerprint, Repeat repeat,
                             Clock::time_point now = Clock::now());

  // The first has ended: with an answer that is to be given again, or null; and in which place,
  // which it may have made itself.
  void End(const std::string& key, const AnswerPtr& answer, int64_t place,
           Clock::time_point now = Clock::now());

 private:
  struct Entry {
    std::string principal;
    std::string fingerprint;
    AnswerPtr answer;
    // Of the answer.
    int64_t place = 0;
    Clock::time_point time;
    size_t bytes = 0;
    std::vector<Repeat> repeats;
  };

  using Entries = absl::flat_hash_map<std::string, Entry>;

  void ForgetOld(Clock::time_point now);
  void Forget(Entries::iterator entry);
  void Count(const std::string& principal, int64_t bytes);

  const size_t max_bytes_;
  std::mutex mutex_;
  Entries entries_;
  // Those with an answer, by age; some of these have given way to others of their key.
  std::deque<std::pair<Clock::time_point, std::string>> by_age_;
  size_t bytes_ = 0;
  // Of those who have any.
  absl::flat_hash_map<std::string, size_t> bytes_by_principal_;
};

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_REQUEST_IDS_H_

#ifndef SLUICE_SERVER_INGEST_REJECTION_LOG_H_
#define SLUICE_SERVER_INGEST_REJECTION_LOG_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "server/ingest/outcome.h"

namespace sluice::ingest {

// Where a request came from.
struct Origin {
  // "grpc" or the path of an HTTP route.
  std::string door;
  // The name of the token that brought it.
  std::string principal;
  // The client's address.
  std::string peer;

  friend bool operator==(const Origin&, const Origin&) = default;
};

// A rejected line of some request.
struct KeptRejection {
  // Grows from each to the next, over all databases.
  int64_t id = 0;
  // When the request arrived.
  int64_t time_ns = 0;
  Origin origin;
  Rejection rejection;
};

struct RejectionLogLimits {
  // Of one database.
  size_t max_lines = 1000;
  size_t max_bytes = size_t{1} << 20;
  // Of all together.
  size_t max_total_bytes = size_t{32} << 20;
};

// Keeps the last rejections of each database, in memory, so that they can be asked for afterwards.
// The oldest give way, first those of the database that has too many, then those of all. Safe for
// use by many threads.
class RejectionLog {
 public:
  using Entry = std::shared_ptr<const KeptRejection>;

  // The first rejection's id is `first_id`: from the clock, so that ids grow over a restart too.
  explicit RejectionLog(const RejectionLogLimits& limits = {}, int64_t first_id = 1)
      : limits_(limits), last_id_(first_id - 1) {}

  // Adds the told rejections of one request. `database_id` is DatabaseRecord::id, so that a new
  // database never shows what an older one of its name rejected.
  void Add(uint32_t database_id, int64_t time_ns, const Origin& origin,
           const std::vector<Rejection>& rejections);

  // The newest first, at most `max_count`, all with an id above `newer_than`.
  std::vector<Entry> List(uint32_t database_id, size_t max_count, int64_t newer_than = 0) const;

 private:
  struct Kept {
    uint32_t database_id;
    size_t bytes;
    Entry entry;
  };
  // In order of age, the newest first.
  using All = std::list<Kept>;
  struct OfDatabase {
    std::deque<All::iterator> newest_first;
    size_t bytes = 0;
  };

  void RemoveOldest(uint32_t database_id);

  const RejectionLogLimits limits_;
  mutable std::mutex mutex_;
  All all_;
  std::map<uint32_t, OfDatabase> by_database_;
  size_t total_bytes_ = 0;
  int64_t last_id_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_REJECTION_LOG_H_

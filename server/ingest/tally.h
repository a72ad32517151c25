#ifndef SLUICE_SERVER_INGEST_TALLY_H_
#define SLUICE_SERVER_INGEST_TALLY_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>

#include "absl/container/flat_hash_map.h"
#include "server/ingest/outcome.h"
#include "server/ingest/point.h"

namespace sluice::ingest {

// How many rejections an outcome tells in full, and how many bytes they may take.
struct Telling {
  size_t max_rejections;
  size_t max_bytes;
};
inline constexpr Telling kTellFirst = {kMaxRejections, kMaxRejectionBytes};
inline constexpr Telling kTellAll = {std::numeric_limits<size_t>::max(), kMaxToldBytes};

// Keeps count of what becomes of a batch's points, in their order. For one thread.
class Tally {
 public:
  explicit Tally(const Telling& telling) : telling_(telling) {}

  void Accept(int64_t count = 1) {
    outcome_.ingested += count;
    index_ += count;
  }
  // The point that `points` is at; `unreadable` where there is none.
  void Reject(PointSource& points, bool unreadable, Objection objection);

  // Nothing is left afterwards.
  Outcome Take();

 private:
  void Count(Reason reason, const std::string& table, const std::string& column, int64_t index);

  const Telling telling_;
  Outcome outcome_;
  size_t told_bytes_ = 0;
  // Of the next point, and of the last that was rejected.
  int64_t index_ = 0;
  int64_t last_rejected_ = 0;
  absl::flat_hash_map<std::tuple<Reason, std::string, std::string>, RejectionCount> counts_;
};

// A point as line protocol, cut at kMaxExcerptBytes; bytes that are not UTF-8 become '?'.
std::string ExcerptOf(const Point& point);

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_TALLY_H_

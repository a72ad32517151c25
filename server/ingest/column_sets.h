#ifndef SLUICE_SERVER_INGEST_COLUMN_SETS_H_
#define SLUICE_SERVER_INGEST_COLUMN_SETS_H_

#include <cstdint>
#include <vector>

#include "server/ingest/point_columns.h"

namespace sluice::ingest {

// The tag sets that the rows of some columns have, without those that none has, in the order of the
// rows. For one thread.
class ColumnSets {
 public:
  void Read(const PointColumns& columns);

  // Their numbers as they were sent.
  const std::vector<uint32_t>& sets() const { return sets_; }
  // For each row the position of its set in `sets`.
  const std::vector<int64_t>& row_sets() const { return row_sets_; }

  // The first value that any of them has of a tag, as in TagColumn::values; 0 where none has one.
  uint32_t AnyValueOf(const TagColumn& tag) const;

 private:
  std::vector<uint32_t> sets_;
  std::vector<int64_t> row_sets_;
  // Of sets as sent: 1 + the position, or 0.
  std::vector<uint32_t> positions_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_COLUMN_SETS_H_

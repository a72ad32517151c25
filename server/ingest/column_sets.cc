#include "server/ingest/column_sets.h"

#include <numeric>

namespace sluice::ingest {

void ColumnSets::Read(const PointColumns& columns) {
  sets_.clear();
  row_sets_.clear();
  if (columns.row_sets.empty()) {
    const bool shared = columns.sets <= 1;
    sets_.resize(shared ? 1 : columns.rows);
    std::iota(sets_.begin(), sets_.end(), 0);
    row_sets_.resize(columns.rows);
    if (!shared) std::iota(row_sets_.begin(), row_sets_.end(), 0);
    return;
  }
  positions_.assign(columns.sets, 0);
  row_sets_.reserve(columns.rows);
  for (size_t row = 0; row < columns.rows; ++row) {
    const uint32_t set = columns.row_sets[row];
    if (positions_[set] == 0) {
      sets_.push_back(set);
      positions_[set] = static_cast<uint32_t>(sets_.size());
    }
    row_sets_.push_back(positions_[set] - 1);
  }
}

uint32_t ColumnSets::AnyValueOf(const TagColumn& tag) const {
  for (uint32_t set : sets_) {
    if (const uint32_t value = tag.value(set); value != 0) return value;
  }
  return 0;
}

}  // namespace sluice::ingest

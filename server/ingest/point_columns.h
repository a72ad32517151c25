#ifndef SLUICE_SERVER_INGEST_POINT_COLUMNS_H_
#define SLUICE_SERVER_INGEST_POINT_COLUMNS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "server/ingest/point.h"
#include "storage/packed.h"

namespace sluice::ingest {

// One tag of all tag sets.
struct TagColumn {
  std::string_view key;
  // An empty one is no tag.
  std::span<const std::string_view> texts;
  // For each set 1 + the position of its value in `texts`, or 0 where it has none. Empty: all sets
  // have the first text.
  storage::Packed<uint32_t> values;

  uint32_t value(size_t set) const {
    const uint32_t value = values.empty() ? 1 : values[set];
    return value == 0 || texts[value - 1].empty() ? 0 : value;
  }
};

// One field of all rows.
struct FieldColumn {
  std::string_view key;
  FieldType type = FieldType::kFloat;
  // Which rows have a value; empty, all have.
  storage::PackedBits present;
  // How many have. Of the values there is one for each of those, in the order of the rows.
  size_t count = 0;
  // Unless strings or booleans: as in Field::bits.
  storage::Packed<int64_t> numbers;
  storage::PackedBits booleans;
  // Strings, or with `text_numbers` the distinct ones, of which that says the position.
  std::span<const std::string_view> texts;
  storage::Packed<uint32_t> text_numbers;

  std::string_view text(size_t value) const {
    return texts[text_numbers.empty() ? value : text_numbers[value]];
  }
};

// Points of one table, column by column, as they were sent: nothing about them has been judged, but
// every number and length agrees with every other. Refers to what its source keeps.
struct PointColumns {
  std::string_view table;
  size_t rows = 0;
  // In the unit that the request names; empty, no row has one.
  storage::Packed<int64_t> timestamps;
  // How many tag sets there are; 0, no row has tags.
  uint32_t sets = 0;
  // For each row the number of its set. Empty: where there is one set all rows have it, otherwise
  // row i has set i.
  storage::Packed<uint32_t> row_sets;
  // Each key once.
  std::span<const TagColumn> tags;
  // Each key once.
  std::span<const FieldColumn> fields;

  // Where there are sets.
  uint32_t set_of(size_t row) const {
    if (!row_sets.empty()) return row_sets[row];
    return sets == 1 ? 0 : static_cast<uint32_t>(row);
  }

  // What they take in a batch, roughly: it can be very much more than what was sent.
  size_t taken_bytes() const;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_POINT_COLUMNS_H_

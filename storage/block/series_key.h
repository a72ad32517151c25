#ifndef SLUICE_STORAGE_BLOCK_SERIES_KEY_H_
#define SLUICE_STORAGE_BLOCK_SERIES_KEY_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/block/block.h"
#include "storage/schema.h"

namespace sluice::storage {

// A tag set as a byte string: equal for equal sets, and ordered as blocks order them, by the tags
// in the order of the table's columns, a tag that is not there first.
//
//   key := tag{number of the table's tags}
//   tag := byte(0) | byte(1) text byte(0) byte(0)       in a text, 0 is written as 0 255
void AppendTagToKey(std::string& key, std::string_view text);
void AppendNoTagToKey(std::string& key);

// The positions of a table's tags.
std::vector<size_t> TagColumns(const TableSchema& table);

// What is known of a block's rows by its directory alone.
struct SeriesBound {
  // No series of the block has a key less than this.
  std::string key;
  // Whether it is the key of the one series that the block has.
  bool is_whole = false;
};
SeriesBound LowerBound(const Block& block, std::span<const size_t> tag_columns);

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BLOCK_SERIES_KEY_H_

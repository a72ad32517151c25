#include "storage/block/series_key.h"

namespace sluice::storage {
namespace {

void AppendText(std::string& key, std::string_view text) {
  key.push_back('\1');
  if (text.find('\0') == std::string_view::npos) {
    key.append(text);
    return;
  }
  for (char c : text) {
    key.push_back(c);
    if (c == '\0') key.push_back('\xff');
  }
}

}  // namespace

void AppendTagToKey(std::string& key, std::string_view text) {
  AppendText(key, text);
  key.append(2, '\0');
}

void AppendNoTagToKey(std::string& key) { key.push_back('\0'); }

std::vector<size_t> TagColumns(const TableSchema& table) {
  std::vector<size_t> positions;
  for (size_t i = 0; i < table.columns().size(); ++i) {
    if (table.columns()[i].type == ColumnType::kTag) positions.push_back(i);
  }
  return positions;
}

SeriesBound LowerBound(const Block& block, std::span<const size_t> tag_columns) {
  SeriesBound bound;
  for (size_t column : tag_columns) {
    if (!block.TypeOf(column)) {
      AppendNoTagToKey(bound.key);
      continue;
    }
    const Block::TagRange range = block.RangeOfTag(column);
    // Where some sets are without the tag, nothing more can be said.
    if (!range.everywhere) return bound;
    if (!range.single) {
      AppendText(bound.key, range.min);
      return bound;
    }
    AppendTagToKey(bound.key, range.min);
  }
  bound.is_whole = true;
  return bound;
}

}  // namespace sluice::storage

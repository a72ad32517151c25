// Any bytes as a block: an error or values, never a crash.

#include <cstdint>
#include <string_view>

#include "storage/block/block.h"
#include "storage/schema.h"

using sluice::storage::Block;
using sluice::storage::BlockColumn;
using sluice::storage::TableSchema;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  (void)TableSchema::Decode(bytes);
  absl::StatusOr<Block> block = Block::Open(bytes);
  if (!block.ok() || !block->has_body()) return 0;
  (void)block->DecodeTimestamps();
  (void)block->DecodeSets();
  for (size_t position : block->columns()) {
    (void)Block::OpenIfMatches(bytes, {.tags = {{position, "x"}}});
    absl::StatusOr<BlockColumn> column = block->DecodeColumn(position);
    if (!column.ok()) continue;
    const bool is_tag = column->type() == sluice::storage::ColumnType::kTag;
    for (size_t row = 0; row < (is_tag ? block->set_count() : block->row_count()); ++row) {
      column->At(row);
      if (is_tag) column->CodeAt(row);
    }
  }
  return 0;
}

#include "storage/block/block.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "storage/block/block_encoder.h"

namespace sluice::storage {
namespace {

TablePtr Everything() {
  auto table = std::make_shared<TableSchema>(1, "everything");
  table->Add("tag", ColumnType::kTag);
  table->Add("float", ColumnType::kFloat);
  table->Add("integer", ColumnType::kInteger);
  table->Add("unsigned", ColumnType::kUnsigned);
  table->Add("string", ColumnType::kString);
  table->Add("boolean", ColumnType::kBoolean);
  return table;
}

void AddValue(TableBatch& batch, size_t column, const Value& value) {
  switch (static_cast<ColumnType>(column + 1)) {
    case ColumnType::kTag:
      return batch.AddTag(column, std::get<std::string_view>(value));
    case ColumnType::kString:
      return batch.AddString(column, std::get<std::string_view>(value));
    case ColumnType::kFloat:
      return batch.AddNumber(column, std::bit_cast<int64_t>(std::get<double>(value)));
    case ColumnType::kInteger:
      return batch.AddNumber(column, std::get<int64_t>(value));
    case ColumnType::kUnsigned:
      return batch.AddNumber(column, static_cast<int64_t>(std::get<uint64_t>(value)));
    case ColumnType::kBoolean:
      return batch.AddNumber(column, std::get<bool>(value) ? 1 : 0);
  }
}

using Rows = std::vector<std::vector<Value>>;

std::string Encode(const Rows& rows) {
  TableBatch batch(Everything());
  for (size_t r = 0; r < rows.size(); ++r) {
    const uint32_t set = batch.AddSet();
    for (size_t c = 0; c < rows[r].size(); ++c) {
      if (c == 1) batch.AddRow(set, static_cast<int64_t>(r * r) - 5);
      if (!std::holds_alternative<std::monostate>(rows[r][c])) AddValue(batch, c, rows[r][c]);
    }
  }
  EncodedBlock block = EncodeBlock(batch);
  return block.directory + block.body;
}

Rows Decode(const std::string& bytes) {
  Block block = Block::Open(bytes).value();
  Rows rows(block.row_count(), std::vector<Value>(6));
  for (size_t c = 0; c < 6; ++c) {
    BlockColumn column = block.DecodeColumn(c).value();
    for (size_t r = 0; r < rows.size(); ++r) {
      if (block.TypeOf(c)) rows[r][c] = column.At(r);
    }
  }
  return rows;
}

const Rows& SomeRows() {
  static const Rows rows = {
      {"a", 1.5, int64_t{-1}, std::numeric_limits<uint64_t>::max(), "text", true},
      {"b", -0.0, std::numeric_limits<int64_t>::min(), uint64_t{0}, "", false},
      {{}, {}, {}, {}, {}, {}},
      {"a", 1e300, {}, uint64_t{7}, {}, true},
      {{}, 5e-324, std::numeric_limits<int64_t>::max(), {}, "日本", {}},
  };
  return rows;
}

TEST(BlockTest, ReadsBackEveryTypeWithGaps) { EXPECT_EQ(Decode(Encode(SomeRows())), SomeRows()); }

TEST(BlockTest, KeepsTheSignOfZeroAndIntegralFloatsExact) {
  Rows rows;
  for (double value : {0.0, -0.0, 1.0, 9007199254740992.0, 9007199254740994.0, 0.1}) {
    rows.push_back({"t", value, {}, {}, {}, {}});
  }
  Rows read = Decode(Encode(rows));
  for (size_t r = 0; r < rows.size(); ++r) {
    EXPECT_EQ(std::bit_cast<uint64_t>(std::get<double>(read[r][1])),
              std::bit_cast<uint64_t>(std::get<double>(rows[r][1])));
  }
  rows.erase(rows.begin() + 4, rows.end());
  rows.erase(rows.begin() + 1);
  EXPECT_EQ(Decode(Encode(rows)), rows);
}

TEST(BlockTest, TellsItsRowsAndTimeRangeWithoutDecoding) {
  std::string bytes = Encode(SomeRows());
  Block block = Block::Open(bytes).value();
  EXPECT_EQ(block.row_count(), 5u);
  EXPECT_EQ(block.min_time_ns(), -5);
  EXPECT_EQ(block.max_time_ns(), 11);
  EXPECT_EQ(block.DecodeTimestamps().value(), (std::vector<int64_t>{-5, -4, -1, 4, 11}));
}

TEST(BlockTest, PrunesByTheSmallestAndLargestTagValue) {
  std::string wide(100, 'm');
  std::string bytes = Encode({{"d", {}, {}, {}, {}, {}}, {wide, {}, {}, {}, {}, {}}});
  auto may_hold = [&bytes](size_t column, std::string_view value) {
    return Block::OpenIfMatches(bytes, {.tags = {{column, value}}})->has_value();
  };
  EXPECT_FALSE(may_hold(0, "c"));
  EXPECT_TRUE(may_hold(0, "d"));
  EXPECT_TRUE(may_hold(0, "e"));
  EXPECT_TRUE(may_hold(0, wide));
  EXPECT_FALSE(may_hold(0, "n"));
  EXPECT_FALSE(may_hold(1, "d"));
  EXPECT_FALSE(may_hold(17, "d"));
}

TEST(BlockTest, IsPassedOverByItsTimeRange) {
  std::string bytes = Encode(SomeRows());
  auto within = [&bytes](int64_t min, int64_t max) {
    return Block::OpenIfMatches(bytes, {.min_time_ns = min, .max_time_ns = max})->has_value();
  };
  EXPECT_TRUE(within(11, 20));
  EXPECT_FALSE(within(12, 20));
  EXPECT_TRUE(within(-9, -5));
  EXPECT_FALSE(within(-9, -6));
}

TEST(BlockTest, AColumnThatTheBlockDoesNotHaveHasNoValues) {
  std::string bytes = Encode({{"a", {}, {}, {}, {}, {}}});
  Block block = Block::Open(bytes).value();
  EXPECT_EQ(block.columns(), std::vector<size_t>{0});
  BlockColumn column = block.DecodeColumn(3).value();
  EXPECT_EQ(column.At(0), Value());
}

// Reads all of a block that may be damaged; true if nothing was found.
bool ReadsWhole(std::string_view bytes) {
  absl::StatusOr<Block> block = Block::Open(bytes);
  if (!block.ok() || !block->has_body() || !block->DecodeTimestamps().ok()) return false;
  if (!block->DecodeSets().ok()) return false;
  for (size_t c : block->columns()) {
    absl::StatusOr<BlockColumn> column = block->DecodeColumn(c);
    if (!column.ok()) return false;
    for (size_t r = 0; r < block->row_count(); ++r) column->At(r);
  }
  return true;
}

TEST(BlockTest, ATruncatedBlockIsDataLoss) {
  std::string bytes = Encode(SomeRows());
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(ReadsWhole(std::string_view(bytes).substr(0, size))) << size;
  }
}

TEST(BlockTest, AnyChangedByteIsSafeToRead) {
  std::string bytes = Encode(SomeRows());
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ (1 << bit));
      ReadsWhole(damaged);
    }
  }
}

TEST(BlockTest, AnUnknownVersionOrFlagIsRefused) {
  std::string bytes = Encode(SomeRows());
  for (size_t at : {0, 1}) {
    std::string newer = bytes;
    newer[at] = 9;
    EXPECT_FALSE(Block::Open(newer).ok());
  }
}

}  // namespace
}  // namespace sluice::storage

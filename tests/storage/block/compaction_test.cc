#include "storage/block/compaction.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <bit>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "storage/block/sweep.h"

namespace sluice::storage {
namespace {

constexpr int64_t kAlways = std::numeric_limits<int64_t>::min();

TablePtr Everything() {
  auto table = std::make_shared<TableSchema>(1, "everything");
  table->Add("host", ColumnType::kTag);
  table->Add("integer", ColumnType::kInteger);
  table->Add("region", ColumnType::kTag);
  table->Add("float", ColumnType::kFloat);
  table->Add("string", ColumnType::kString);
  table->Add("boolean", ColumnType::kBoolean);
  table->Add("unsigned", ColumnType::kUnsigned);
  return table;
}

// Values as text, by column; those that are missing are not there.
using Row = std::map<size_t, std::string>;

void AddField(TableBatch& batch, size_t column, const std::string& text) {
  switch (batch.table()->columns()[column].type) {
    case ColumnType::kString:
      return batch.AddString(column, text);
    case ColumnType::kFloat:
      return batch.AddNumber(column, std::bit_cast<int64_t>(std::stod(text)));
    default:
      return batch.AddNumber(column, std::stoll(text));
  }
}

// Encoded blocks, in the order of their commits.
class Blocks {
 public:
  void Add(const std::vector<std::pair<int64_t, Row>>& rows) {
    TableBatch batch(Everything());
    for (const auto& [time, row] : rows) {
      const uint32_t set = batch.AddSet();
      for (size_t tag : {0, 2}) {
        if (row.contains(tag)) batch.AddTag(tag, row.at(tag));
      }
      batch.AddRow(set, time);
      for (const auto& [column, text] : row) {
        if (column != 0 && column != 2) AddField(batch, column, text);
      }
    }
    Add(EncodeBlock(batch));
  }
  void Add(const EncodedBlock& block) { bytes_.push_back(block.directory + block.body); }

  size_t size() const { return bytes_.size(); }
  std::vector<Block> Open() const {
    std::vector<Block> blocks;
    for (const std::string& bytes : bytes_) blocks.push_back(Block::Open(bytes).value());
    return blocks;
  }

  // Merges those from `first` on into one run, in place.
  void Merge(size_t first = 0, int64_t min_time_ns = kAlways) {
    std::vector<Block> opened = Open();
    auto merged = Compact(*Everything(), std::span(opened).subspan(first), min_time_ns).value();
    EXPECT_LE(merged.size(), opened.size() - first);
    bytes_.resize(first);
    for (const EncodedBlock& block : merged) Add(block);
  }

  // "time|values", sorted.
  std::vector<std::string> Read() const {
    ScanSpec spec;
    spec.table = Everything();
    for (size_t i = 0; i < spec.table->columns().size(); ++i) spec.columns.push_back(i);
    std::vector<BlockRef> refs;
    for (size_t i = 0; i < bytes_.size(); ++i) {
      refs.push_back(BlockRef::Of(i, 0, Block::Open(bytes_[i]).value(), *spec.table));
    }
    Sweep merge(spec, refs, [this](const BlockRef& ref) -> absl::StatusOr<std::string> {
      return bytes_[ref.sequence];
    });
    std::vector<std::string> rows;
    ScanRows part;
    while (merge.Next(part).ok() && !part.timestamps.empty()) {
      for (size_t i = 0; i < part.timestamps.size(); ++i) {
        std::string row = std::to_string(part.timestamps[i]);
        for (const auto& column : part.columns) row += "|" + Text(column[i]);
        rows.push_back(row);
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  static std::string Text(const Value& value) {
    return std::visit(
        [](const auto& v) -> std::string {
          if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::monostate>)
            return "-";
          else
            return fmt::format("{}", v);
        },
        value);
  }

  std::vector<std::string> bytes_;
};

Row RandomRow(std::mt19937& random) {
  Row row;
  if (random() % 5 != 0) row[0] = fmt::format("host{}", random() % 4);
  if (random() % 3 != 0) row[2] = fmt::format("region{}", random() % 2);
  for (size_t column : {1, 3, 4, 5, 6}) {
    if (random() % 3 == 0) continue;
    if (column == 3) {
      row[column] = fmt::format("{:.3f}", static_cast<double>(random() % 100000) / 1000);
    } else {
      row[column] = column == 5 ? std::to_string(random() % 2) : std::to_string(random() % 1000);
    }
  }
  if (row.empty() || (row.size() <= 2 && !row.contains(1))) row[1] = "7";
  return row;
}

TEST(CompactTest, KeepsWhatAQueryWouldReadWhateverIsMergedFirst) {
  std::mt19937 random(11);
  for (int round = 0; round < 40; ++round) {
    Blocks blocks;
    for (int b = 0; b < 12; ++b) {
      std::vector<std::pair<int64_t, Row>> rows;
      for (int i = 0; i < 40; ++i) {
        rows.emplace_back(static_cast<int64_t>(random() % 50) * (b % 2 == 0 ? 1 : 1'000'000'000),
                          RandomRow(random));
      }
      blocks.Add(rows);
    }
    const std::vector<std::string> before = blocks.Read();
    ASSERT_FALSE(before.empty());
    blocks.Merge(blocks.size() - 1 - random() % 10);
    EXPECT_EQ(blocks.Read(), before);
    blocks.Merge(blocks.size() / 2);
    blocks.Merge();
    EXPECT_EQ(blocks.size(), 1u);
    EXPECT_EQ(blocks.Read(), before);
    EXPECT_EQ(blocks.Open()[0].row_count(), before.size());
  }
}

TEST(CompactTest, SortsBySeriesAndTime) {
  Blocks blocks;
  blocks.Add({{3, {{0, "b"}, {1, "1"}}}, {2, {{0, "a"}, {1, "2"}}}, {9, {{1, "3"}}}});
  blocks.Add({{1, {{0, "b"}, {1, "4"}}}, {1, {{0, "a"}, {2, "x"}, {1, "5"}}}});
  blocks.Merge();
  Block block = blocks.Open()[0];
  EXPECT_TRUE(block.sorted());
  EXPECT_EQ(block.DecodeTimestamps().value(), (std::vector<int64_t>{9, 2, 1, 1, 3}));
  EXPECT_EQ(block.DecodeSets().value(), (std::vector<uint32_t>{0, 1, 2, 3, 3}));
}

// More than 64 bits could number, and texts that differ late, in length or in their sign.
TEST(CompactTest, SortsSetsOfManyTagsWithManyValues) {
  constexpr size_t kTags = 14;
  using Set = std::vector<std::optional<std::string>>;
  std::vector<std::string> texts = {
      "",     std::string("\0", 1), "-aaaaaaaaaaaaaaaa1", "-a", "-aaaaaaaa", "-aaaaaaaaaaaaaaaa2",
      "\x7f", "\xc3\xa9",           "a\xc3\xa9",          "b"};
  for (int i = 0; i < 300; ++i) texts.push_back(std::to_string(i));
  auto table = std::make_shared<TableSchema>(1, "m");
  for (size_t tag = 0; tag < kTags; ++tag) table->Add(fmt::format("t{}", tag), ColumnType::kTag);
  table->Add("f", ColumnType::kInteger);

  std::mt19937 random(17);
  std::set<Set> expected;
  std::vector<Set> used;
  std::vector<std::string> bytes;
  for (int b = 0; b < 20; ++b) {
    TableBatch batch(table);
    for (int i = 0; i < 200; ++i) {
      Set set(kTags);
      // Like another one, or like another one but for the last tags.
      const bool like = !used.empty() && random() % 2 == 0;
      if (like) set = used[random() % used.size()];
      for (size_t tag = like ? kTags - random() % 3 : 0; tag < kTags; ++tag) {
        set[tag].reset();
        if (random() % 8 != 0) set[tag] = "same" + texts[random() % texts.size()];
      }
      const uint32_t number = batch.AddSet();
      for (size_t tag = 0; tag < kTags; ++tag) {
        if (set[tag]) batch.AddTag(tag, *set[tag]);
      }
      batch.AddRow(number, b);
      batch.AddNumber(kTags, i);
      used.push_back(set);
      expected.insert(set);
    }
    const EncodedBlock block = EncodeBlock(batch);
    bytes.push_back(block.directory + block.body);
  }
  std::vector<Block> blocks;
  for (const std::string& block : bytes) blocks.push_back(Block::Open(block).value());

  const auto merged = Compact(*table, blocks, kAlways);
  ASSERT_TRUE(merged.ok()) << merged.status();
  std::vector<Set> sets;
  for (const EncodedBlock& encoded : *merged) {
    const std::string whole = encoded.directory + encoded.body;
    const Block block = Block::Open(whole).value();
    std::vector<Set> read(block.set_count(), Set(kTags));
    for (size_t tag = 0; tag < kTags; ++tag) {
      const BlockColumn column = block.DecodeColumn(tag).value();
      for (size_t set = 0; set < read.size(); ++set) {
        if (const auto code = column.CodeAt(set)) read[set][tag] = column.dictionary()[*code];
      }
    }
    // A series that goes on in the next block is in both.
    if (!sets.empty() && sets.back() == read.front()) sets.pop_back();
    sets.insert(sets.end(), read.begin(), read.end());
  }
  EXPECT_EQ(sets, std::vector<Set>(expected.begin(), expected.end()));
}

TEST(CompactTest, DropsWhatHasExpired) {
  Blocks blocks;
  blocks.Add({{1, {{1, "1"}}}, {5, {{1, "2"}}}});
  blocks.Add({{4, {{1, "3"}}}, {6, {{1, "4"}}}});
  blocks.Merge(0, 5);
  EXPECT_EQ(blocks.Read(), (std::vector<std::string>{"5|-|2|-|-|-|-|-", "6|-|4|-|-|-|-|-"}));
  blocks.Merge(0, 100);
  EXPECT_EQ(blocks.size(), 0u);
}

TEST(CompactTest, MakesSeveralBlocksOfManyRows) {
  Blocks blocks;
  for (int64_t b = 0; b < 4; ++b) {
    std::vector<std::pair<int64_t, Row>> rows;
    for (int64_t i = 0; i < 20000; ++i) {
      rows.emplace_back(b * 20000 + i, Row{{0, fmt::format("h{}", i % 7)}, {1, std::to_string(i)}});
    }
    blocks.Add(rows);
  }
  const std::vector<std::string> before = blocks.Read();
  blocks.Merge();
  EXPECT_EQ(blocks.size(), 4u);
  EXPECT_EQ(blocks.Read(), before);
}

TEST(CompactTest, BlocksOfLongRowsAreSmall) {
  Blocks blocks;
  std::vector<std::pair<int64_t, Row>> rows;
  for (int64_t b = 0; b < 100; ++b) {
    rows.clear();
    for (int64_t i = 0; i < 60; ++i) rows.push_back({b * 60 + i, {{4, std::string(8000, 'x')}}});
    blocks.Add(rows);
  }
  blocks.Merge();
  EXPECT_LE(blocks.size(), 4u);
  for (const Block& block : blocks.Open()) EXPECT_LE(block.decoded_bytes(), size_t{16} << 20);
}

// What a merge takes is bounded by what its blocks decode to: tags that they do not have are not in
// it.
TEST(CompactTest, TagsThatNoBlockHasTakeNoMemory) {
  auto table = std::make_shared<TableSchema>(1, "wide");
  for (int tag = 0; tag < 249; ++tag) table->Add(fmt::format("t{}", tag), ColumnType::kTag);
  table->Add("f", ColumnType::kInteger);
  std::vector<std::string> bytes;
  for (int b = 0; b < 300; ++b) {
    TableBatch batch(table);
    for (int series = 0; series < 2000; ++series) {
      const uint32_t set = batch.AddSet();
      batch.AddTag(7, std::to_string(series));
      batch.AddRow(set, b);
      batch.AddNumber(249, series);
    }
    const EncodedBlock block = EncodeBlock(batch);
    bytes.push_back(block.directory + block.body);
  }
  std::vector<Block> blocks;
  for (const std::string& block : bytes) blocks.push_back(Block::Open(block).value());
  const auto peak_kib = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before_kib = peak_kib();
  auto merged = Compact(*table, blocks, kAlways);
  ASSERT_TRUE(merged.ok()) << merged.status();
  EXPECT_LT(peak_kib() - before_kib, 400 << 10);
}

TEST(CompactTest, ADamagedBlockIsDataLoss) {
  Blocks blocks;
  blocks.Add({{1, {{0, "a"}, {1, "1"}}}});
  std::vector<Block> opened = blocks.Open();
  auto other = std::make_shared<TableSchema>(1, "other");
  other->Add("host", ColumnType::kString);
  EXPECT_EQ(Compact(*other, opened, kAlways).status().code(), absl::StatusCode::kDataLoss);
}

// Around every limit that a count of rows can meet: of a block, of a merged block, of a word of
// bits.
TEST(CompactTest, AnyNumberOfRowsInAnyNumberOfBlocksGivesBlocksThatCanBeRead) {
  auto table = std::make_shared<TableSchema>(1, "m");
  table->Add("f", ColumnType::kInteger);
  for (size_t count : {1, 2, 3, 4, 7}) {
    for (size_t power : {1, 64, 4096, 8192, 16384, 32768}) {
      for (size_t rows : {power - 1, power, power + 1}) {
        if (rows == 0 || rows > kMaxBlockRows) continue;
        std::vector<std::string> bytes;
        for (size_t b = 0; b < count; ++b) {
          TableBatch batch(table);
          const uint32_t set = batch.AddSet();
          for (size_t row = 0; row < rows; ++row) {
            batch.AddRow(set, static_cast<int64_t>(b * rows + row));
            batch.AddNumber(0, static_cast<int64_t>(row));
          }
          const EncodedBlock block = EncodeBlock(batch);
          bytes.push_back(block.directory + block.body);
        }
        std::vector<Block> blocks;
        for (const std::string& block : bytes) blocks.push_back(Block::Open(block).value());
        auto merged = Compact(*table, blocks, kAlways).value();
        EXPECT_LE(merged.size(), count);
        size_t total = 0;
        for (const EncodedBlock& block : merged) {
          const std::string whole = block.directory + block.body;
          auto opened = Block::Open(whole);
          ASSERT_TRUE(opened.ok()) << opened.status() << " of " << count << " x " << rows;
          EXPECT_EQ(opened->row_count(), block.row_count);
          EXPECT_EQ(opened->decoded_bytes(), block.decoded_bytes);
          EXPECT_EQ(opened->DecodeColumn(0).value().numbers().size(), block.row_count);
          total += block.row_count;
        }
        EXPECT_EQ(total, count * rows);
      }
    }
  }
}

}  // namespace
}  // namespace sluice::storage

#include "storage/block/sweep.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "storage/block/block_encoder.h"

namespace sluice::storage {
namespace {

TablePtr Home() {
  auto home = std::make_shared<TableSchema>(1, "home");
  home->Add("room", ColumnType::kTag);
  home->Add("temp", ColumnType::kInteger);
  home->Add("hum", ColumnType::kInteger);
  return home;
}

struct Write {
  int64_t time;
  std::string room;
  std::optional<int64_t> temp;
  std::optional<int64_t> hum;
};

// Blocks in memory, in the order of their commits.
class Blocks {
 public:
  void Add(const std::vector<Write>& writes) {
    TableBatch batch(Home());
    for (const Write& write : writes) {
      const uint32_t set = batch.AddSet();
      if (!write.room.empty()) batch.AddTag(0, write.room);
      batch.AddRow(set, write.time);
      if (write.temp) batch.AddNumber(1, *write.temp);
      if (write.hum) batch.AddNumber(2, *write.hum);
    }
    EncodedBlock block = EncodeBlock(batch);
    bytes_.push_back(block.directory + block.body);
    Block opened = Block::Open(bytes_.back()).value();
    refs_.push_back(BlockRef::Of(bytes_.size() - 1, 0, opened, *Home()));
  }

  // "time room temp hum", for each row, sorted.
  std::vector<std::string> Read(ScanSpec spec = {}) const {
    spec.table = Home();
    spec.columns = {0, 1, 2};
    Sweep merge(spec, refs_, [this](const BlockRef& ref) -> absl::StatusOr<std::string> {
      return bytes_[ref.sequence];
    });
    std::vector<std::string> rows;
    ScanRows part;
    while (merge.Next(part).ok() && !part.timestamps.empty()) {
      for (size_t i = 0; i < part.timestamps.size(); ++i) {
        rows.push_back(fmt::format("{} {} {} {}", part.timestamps[i], Text(part.columns[0][i]),
                                   Text(part.columns[1][i]), Text(part.columns[2][i])));
      }
    }
    std::sort(rows.begin(), rows.end());
    return rows;
  }

 private:
  static std::string Text(const Value& value) {
    if (auto* text = std::get_if<std::string_view>(&value)) return std::string(*text);
    if (auto* number = std::get_if<int64_t>(&value)) return std::to_string(*number);
    return "-";
  }

  std::vector<std::string> bytes_;
  std::vector<BlockRef> refs_;
};

using Rows = std::vector<std::string>;

TEST(SweepTest, ALaterWriteOfAPointWinsFieldByField) {
  Blocks blocks;
  blocks.Add({{1, "a", 10, 20}, {2, "a", 11, {}}});
  blocks.Add({{1, "a", {}, 21}, {1, "b", 5, {}}});
  blocks.Add({{1, "a", 12, {}}});
  EXPECT_EQ(blocks.Read(), (Rows{"1 a 12 21", "1 b 5 -", "2 a 11 -"}));
}

TEST(SweepTest, WithinABlockTheLaterRowWins) {
  Blocks blocks;
  blocks.Add({{1, "a", 10, 20}, {1, "a", 11, {}}, {1, "", 1, 1}, {1, "", 2, {}}});
  EXPECT_EQ(blocks.Read(), (Rows{"1 - 2 1", "1 a 11 20"}));
}

TEST(SweepTest, PrunesByTimeAndTag) {
  Blocks blocks;
  blocks.Add({{1, "a", 1, {}}, {2, "a", 2, {}}, {3, "a", 3, {}}, {2, "b", 4, {}}});
  blocks.Add({{2, "a", {}, 5}, {9, "c", 6, {}}});
  ScanSpec spec;
  spec.min_time_ns = 2;
  spec.max_time_ns = 2;
  EXPECT_EQ(blocks.Read(spec), (Rows{"2 a 2 5", "2 b 4 -"}));
  spec.tags = {{0, "a"}};
  EXPECT_EQ(blocks.Read(spec), (Rows{"2 a 2 5"}));
  spec.tags = {{0, "nobody"}};
  EXPECT_EQ(blocks.Read(spec), Rows());
}

TEST(SweepTest, AgreesWithAMapOnRandomWrites) {
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    Blocks blocks;
    std::map<std::pair<int64_t, std::string>, Write> model;
    for (int b = 0; b < 20; ++b) {
      std::vector<Write> writes;
      for (int i = 0; i < 50; ++i) {
        Write write{static_cast<int64_t>(random() % 60) * (b % 3 + 1), "", {}, {}};
        if (random() % 4 != 0) write.room = fmt::format("r{}", random() % 5);
        if (random() % 2 == 0) write.temp = static_cast<int64_t>(random() % 1000);
        if (!write.temp || random() % 2 == 0) write.hum = static_cast<int64_t>(random() % 1000);
        writes.push_back(write);
        Write& point = model.try_emplace({write.time, write.room}, write).first->second;
        if (write.temp) point.temp = write.temp;
        if (write.hum) point.hum = write.hum;
      }
      blocks.Add(writes);
    }
    auto text = [](std::optional<int64_t> v) { return v ? std::to_string(*v) : "-"; };
    Rows expected;
    for (const auto& [key, point] : model) {
      expected.push_back(fmt::format("{} {} {} {}", key.first,
                                     key.second.empty() ? "-" : key.second, text(point.temp),
                                     text(point.hum)));
    }
    std::sort(expected.begin(), expected.end());
    EXPECT_EQ(blocks.Read(), expected);
  }
}

TEST(SweepTest, SlicesLargeInputsWithoutLosingRows) {
  Blocks blocks;
  for (int64_t b = 0; b < 4; ++b) {
    std::vector<Write> writes;
    for (int64_t i = 0; i < 30000; ++i) writes.push_back({i, fmt::format("r{}", b % 2), i, {}});
    blocks.Add(writes);
  }
  EXPECT_EQ(blocks.Read().size(), 60000u);
}

// What is charged is what is in memory: blocks of a slice, and the one that is opened next.
TEST(SweepTest, LongTextsAreInMemoryAFewBlocksAtATime) {
  auto table = std::make_shared<TableSchema>(1, "log");
  table->Add("text", ColumnType::kString);
  constexpr int kBlocks = 40;
  std::vector<std::string> bytes;
  std::vector<BlockRef> refs;
  for (int b = 0; b < kBlocks; ++b) {
    TableBatch batch(table);
    const uint32_t set = batch.AddSet();
    for (int row = 0; row < 8; ++row) {
      batch.AddRow(set, b * 8 + row);
      batch.AddString(0, std::string(size_t{256} << 10, static_cast<char>('a' + row)));
    }
    const EncodedBlock block = EncodeBlock(batch);
    bytes.push_back(block.directory + block.body);
    refs.push_back(
        BlockRef::Of(static_cast<uint64_t>(b), 0, Block::Open(bytes.back()).value(), *table));
  }
  int64_t charged = 0;
  int64_t most = 0;
  ScanSpec spec;
  spec.table = table;
  spec.columns = {0};
  spec.charge = [&](int64_t more) {
    charged += more;
    most = std::max(most, charged);
    return true;
  };
  Sweep sweep(spec, refs, [&](const BlockRef& ref) -> absl::StatusOr<std::string> {
    return bytes[ref.sequence];
  });
  ScanRows rows;
  int64_t next = 0;
  while (sweep.Next(rows).ok() && !rows.timestamps.empty()) {
    for (int64_t time : rows.timestamps) EXPECT_EQ(time, next++);
  }
  EXPECT_EQ(next, kBlocks * 8);
  rows.Clear();
  EXPECT_EQ(charged, 0);
  // A block is 2 MiB of text.
  EXPECT_LT(most, int64_t{20} << 20);
}

TEST(SweepTest, ADamagedBlockIsAnError) {
  ScanSpec spec;
  spec.table = Home();
  Sweep merge(spec, {{1, 0, "", 0}},
              [](const BlockRef&) -> absl::StatusOr<std::string> { return "nonsense"; });
  ScanRows rows;
  EXPECT_EQ(merge.Next(rows).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace sluice::storage

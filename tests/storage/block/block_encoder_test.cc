#include "storage/block/block_encoder.h"

#include <gtest/gtest.h>

#include <bit>
#include <random>

namespace sluice::storage {
namespace {

Block Reopen(const EncodedBlock& encoded, std::string& bytes) {
  bytes = encoded.directory + encoded.body;
  return Block::Open(bytes).value();
}

std::vector<int64_t> Bits(const std::vector<double>& values) {
  std::vector<int64_t> bits;
  for (double value : values) bits.push_back(std::bit_cast<int64_t>(value));
  return bits;
}

// What a block of one float column reads back, and how long its body is.
std::pair<std::vector<int64_t>, size_t> RoundTrip(const std::vector<double>& values) {
  BlockEncoder encoder(Packing::kDense);
  std::vector<int64_t> times(values.size());
  for (size_t i = 0; i < times.size(); ++i) times[i] = static_cast<int64_t>(i) * 1'000'000'000;
  encoder.AddSortedRows(times, std::vector<int64_t>{static_cast<int64_t>(values.size())});
  encoder.AddNumbers(0, ColumnType::kFloat, nullptr, Bits(values));
  const EncodedBlock encoded = encoder.Finish();
  std::string bytes;
  const Block block = Reopen(encoded, bytes);
  EXPECT_EQ(block.DecodeTimestamps().value(), times);
  return {block.DecodeColumn(0)->numbers(), encoded.body.size()};
}

TEST(BlockEncoderTest, FloatsWithFewDecimalsAreExactAndSmall) {
  std::vector<double> decimals;
  std::vector<double> noise;
  std::mt19937_64 random(3);
  for (int i = 0; i < 10000; ++i) {
    decimals.push_back(static_cast<double>(static_cast<int64_t>(random() % 2000) - 1000) / 100);
    noise.push_back(
        std::bit_cast<double>((random() & ~(uint64_t{2047} << 52)) | uint64_t{1020} << 52));
  }
  auto [read, size] = RoundTrip(decimals);
  EXPECT_EQ(read, Bits(decimals));
  EXPECT_LT(size, decimals.size() * 2);
  EXPECT_EQ(RoundTrip(noise).first, Bits(noise));
}

TEST(BlockEncoderTest, EveryDoubleIsReadBackBitByBit) {
  std::vector<double> values = {
      0.0,  -0.0, 0.1,     0.1 + 0.2, 1e-9,    1e-10, 123456.789,         1e15,
      1e16, 9e15, 1.5e300, 5e-324,    1.0 / 3, -2.5,  9007199254740993.0, 0.000001};
  EXPECT_EQ(RoundTrip(values).first, Bits(values));
  // Alone, each takes its own way.
  for (double value : values) EXPECT_EQ(RoundTrip({value, value}).first, Bits({value, value}));
}

TEST(BlockEncoderTest, CompressedTextsAreReadBack) {
  BlockEncoder encoder(Packing::kDense);
  StringList texts;
  Bitmap present;
  std::vector<int64_t> times;
  for (int64_t i = 0; i < 5000; ++i) {
    times.push_back(i);
    if (i % 3 == 0) continue;
    present.Set(static_cast<size_t>(i));
    texts.Add("message number " + std::to_string(i));
  }
  encoder.AddSortedRows(times, std::vector<int64_t>{5000});
  encoder.AddStrings(4, &present, texts);
  const EncodedBlock encoded = encoder.Finish();
  EXPECT_LT(encoded.body.size(), texts.bytes().size() / 3);
  std::string bytes;
  const Block block = Reopen(encoded, bytes);
  BlockColumn column = block.DecodeColumn(4).value();
  EXPECT_EQ(column.At(3), Value());
  EXPECT_EQ(column.At(4999), Value("message number 4999"));
}

TEST(BlockEncoderTest, ADirectoryIsEnoughToPassABlockOver) {
  BlockEncoder encoder(Packing::kQuick);
  encoder.AddRows(std::vector<int64_t>{5, 3}, std::vector<int64_t>{0, 1}, 2);
  StringList names;
  names.Add("b");
  names.Add("c");
  encoder.AddTag(0, nullptr, names, std::vector<int64_t>{0, 1});
  const EncodedBlock encoded = encoder.Finish();
  Block block = Block::Open(encoded.directory).value();
  EXPECT_FALSE(block.has_body());
  EXPECT_EQ(block.min_time_ns(), 3);
  EXPECT_FALSE(*Block::OpenIfMatches(encoded.directory, {.tags = {{0, "a"}}}));
  EXPECT_FALSE(block.AttachBody(encoded.body + "x").ok());
  ASSERT_TRUE(block.AttachBody(encoded.body).ok());
  EXPECT_EQ(block.DecodeSets().value(), (std::vector<uint32_t>{0, 1}));
}

}  // namespace
}  // namespace sluice::storage

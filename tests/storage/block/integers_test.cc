#include "storage/block/integers.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace sluice::storage {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string Encode(const std::vector<int64_t>& values, Packing packing = Packing::kQuick) {
  std::string out;
  PutIntegers(out, values, packing);
  return out;
}

void ExpectRoundTrip(const std::vector<int64_t>& values) {
  for (Packing packing : {Packing::kQuick, Packing::kDense}) {
    std::string bytes = Encode(values, packing);
    ByteReader reader(bytes);
    EXPECT_EQ(ReadIntegers(reader, values.size()), values);
    EXPECT_TRUE(reader.ok());
    EXPECT_TRUE(reader.empty());
  }
}

TEST(IntegersTest, ReadsBackAnySequence) {
  ExpectRoundTrip({});
  ExpectRoundTrip({0});
  ExpectRoundTrip({kMin});
  ExpectRoundTrip({kMax, kMin});
  ExpectRoundTrip({kMin, kMax, 0, -1, 1});
  ExpectRoundTrip({7, 7, 7, 7});
}

TEST(IntegersTest, ReadsBackRandomSequencesOfEveryWidth) {
  std::mt19937_64 random(1);
  for (int width = 0; width <= 64; ++width) {
    for (size_t count : {1, 2, 7, 8, 9, 63, 64, 65, 200, 1023, 1024, 1025, 3000}) {
      std::vector<int64_t> values;
      for (size_t i = 0; i < count; ++i) {
        uint64_t bits = width == 0 ? 0 : random() >> (64 - width);
        values.push_back(static_cast<int64_t>(bits + 1'000'000));
      }
      ExpectRoundTrip(values);
    }
  }
}

TEST(IntegersTest, EqualNumbersAndEvenStepsTakeNoBitsEach) {
  std::vector<int64_t> steps;
  for (int64_t i = 0; i < 5000; ++i)
    steps.push_back(1'700'000'000'000'000'000 + i * 10'000'000'000);
  EXPECT_LT(Encode(steps).size(), 24u);
  EXPECT_LT(Encode(std::vector<int64_t>(5000, 42)).size(), 8u);
}

TEST(TimestampsTest, ReadBackWhateverTheirUnit) {
  const std::vector<std::vector<int64_t>> sequences = {
      {},
      {0},
      {kMin, kMax},
      {1'700'000'000'000'000'000, 1'700'000'010'000'000'000, -5'000'000'000},
      {1'700'000'000'123'000'000, 7'000},
      {1'700'000'000'123'456'789},
  };
  for (const std::vector<int64_t>& times : sequences) {
    for (Packing packing : {Packing::kQuick, Packing::kDense}) {
      std::string bytes;
      PutTimestamps(bytes, times, packing);
      ByteReader reader(bytes);
      EXPECT_EQ(ReadTimestamps(reader, times.size()), times);
      EXPECT_TRUE(reader.ok() && reader.empty());
    }
  }
}

TEST(TimestampsTest, WholeSecondsTakeNoBitsForNanoseconds) {
  std::vector<int64_t> times;
  for (int64_t i = 0; i < 1000; ++i) times.push_back((1'700'000'000 + i % 16) * 1'000'000'000);
  std::string bytes;
  PutTimestamps(bytes, times, Packing::kQuick);
  EXPECT_LT(bytes.size(), 1000u * 4 / 8 + 20);
}

TEST(TimestampsTest, AnUnknownUnitIsRefused) {
  for (std::string wrong :
       {std::string("\x01\x00\x00\x00", 4), std::string("\x0c\x00\x00\x00", 4)}) {
    ByteReader reader(wrong);
    ReadTimestamps(reader, 1);
    EXPECT_FALSE(reader.ok());
  }
}

TEST(IntegersTest, DamagedInputIsRefused) {
  std::string bytes = Encode({1, 2, 400, 70000});
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(std::string_view(bytes).substr(0, size));
    ReadIntegers(reader, 4);
    EXPECT_FALSE(reader.ok()) << size;
  }
  for (std::string wrong : {std::string("\x04\x01\x00\x00", 4), std::string("\x00\x41\x00\x00", 4),
                            std::string("\x02\x09\x00\x00", 4)}) {
    ByteReader reader(wrong);
    ReadIntegers(reader, 1);
    EXPECT_FALSE(reader.ok());
  }
}

}  // namespace
}  // namespace sluice::storage

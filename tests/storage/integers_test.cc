#include "storage/integers.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace sluice::storage {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

std::string Encode(const std::vector<int64_t>& values) {
  std::string out;
  PutIntegers(out, values);
  return out;
}

void ExpectRoundTrip(const std::vector<int64_t>& values) {
  std::string bytes = Encode(values);
  ByteReader reader(bytes);
  EXPECT_EQ(ReadIntegers(reader, values.size()), values);
  EXPECT_TRUE(reader.ok());
  EXPECT_TRUE(reader.empty());
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
    for (size_t count : {1, 2, 63, 64, 65, 200}) {
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

TEST(IntegersTest, DamagedInputIsRefused) {
  std::string bytes = Encode({1, 2, 400, 70000});
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(std::string_view(bytes).substr(0, size));
    ReadIntegers(reader, 4);
    EXPECT_FALSE(reader.ok()) << size;
  }
  for (std::string wrong :
       {std::string("\x02\x01\x00\x00", 4), std::string("\x00\x41\x00\x00", 4)}) {
    ByteReader reader(wrong);
    ReadIntegers(reader, 1);
    EXPECT_FALSE(reader.ok());
  }
}

}  // namespace
}  // namespace sluice::storage

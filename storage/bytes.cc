#include "storage/bytes.h"

#include <bit>
#include <cstring>

namespace sluice::storage {

static_assert(std::endian::native == std::endian::little, "stored numbers are copied as they are");

void PutByte(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }

void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    PutByte(out, static_cast<uint8_t>(value | 0x80));
    value >>= 7;
  }
  PutByte(out, static_cast<uint8_t>(value));
}

void PutZigzag(std::string& out, int64_t value) {
  PutVarint(out, (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63));
}

void PutBytes(std::string& out, std::string_view value) {
  PutVarint(out, value.size());
  out.append(value);
}

void PutBe32(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) PutByte(out, static_cast<uint8_t>(value >> shift));
}

void PutBe64(std::string& out, uint64_t value) {
  for (int shift = 56; shift >= 0; shift -= 8) PutByte(out, static_cast<uint8_t>(value >> shift));
}

void PutLe64(std::string& out, uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

uint8_t ByteReader::Byte() {
  std::string_view raw = Raw(1);
  return raw.empty() ? 0 : static_cast<uint8_t>(raw[0]);
}

uint64_t ByteReader::LongVarint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t byte = Byte();
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return ok_ ? value : 0;
  }
  ok_ = false;
  return 0;
}

int64_t ByteReader::Zigzag() {
  uint64_t value = Varint();
  return static_cast<int64_t>((value >> 1) ^ (~(value & 1) + 1));
}

std::string_view ByteReader::Bytes() { return Raw(Varint()); }

uint32_t ByteReader::Be32() {
  uint32_t value = 0;
  for (char c : Raw(4)) value = (value << 8) | static_cast<uint8_t>(c);
  return value;
}

uint64_t ByteReader::Be64() {
  uint64_t value = 0;
  for (char c : Raw(8)) value = (value << 8) | static_cast<uint8_t>(c);
  return value;
}

uint64_t ByteReader::Le64() {
  uint64_t value = 0;
  std::string_view raw = Raw(sizeof(value));
  if (!raw.empty()) std::memcpy(&value, raw.data(), sizeof(value));
  return value;
}

}  // namespace sluice::storage

#ifndef SLUICE_STORAGE_BYTES_H_
#define SLUICE_STORAGE_BYTES_H_

#include <cstdint>
#include <string>
#include <string_view>

// The primitives of the stored formats:
//
//   varint  unsigned, seven bits a byte, least significant first, high bit set on all but the last
//   zigzag  a signed number as varint: 0, -1, 1, -2, … become 0, 1, 2, 3, …
//   bytes   varint length, then as many bytes
//   be32, be64  big-endian, so that keys sort by number
//   le64    little-endian

namespace sluice::storage {

void PutByte(std::string& out, uint8_t value);
void PutVarint(std::string& out, uint64_t value);
void PutZigzag(std::string& out, int64_t value);
void PutBytes(std::string& out, std::string_view value);
void PutBe32(std::string& out, uint32_t value);
void PutBe64(std::string& out, uint64_t value);
void PutLe64(std::string& out, uint64_t value);

// Reads what the functions above wrote, and survives anything else: once the input is found to be
// short or malformed, ok() is false for good and every read returns zero or nothing. Does not own
// the bytes.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }

  uint8_t Byte();
  uint64_t Varint() {
    // Most have one byte.
    if (!ok_ || rest_.empty() || (rest_.front() & 0x80) != 0) return LongVarint();
    const uint64_t value = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return value;
  }
  int64_t Zigzag();
  std::string_view Bytes();
  uint32_t Be32();
  uint64_t Be64();
  uint64_t Le64();
  // The next `size` bytes.
  std::string_view Raw(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const std::string_view raw = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return raw;
  }

 private:
  uint64_t LongVarint();

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_BYTES_H_

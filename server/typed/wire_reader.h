#ifndef SLUICE_SERVER_TYPED_WIRE_READER_H_
#define SLUICE_SERVER_TYPED_WIRE_READER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/bytes.h"
#include "storage/packed.h"

// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), as far as points
// need it. Generated messages would make an object of each value, before anyone has looked at who
// sends it or how many there are: ten megabytes of empty messages become half a gigabyte. What is
// read here stays where it came.

namespace sluice::typed {

// One field of a message.
struct WireField {
  enum class Type : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  uint32_t number = 0;
  Type type = Type::kVarint;
  // A varint.
  uint64_t value = 0;
  // Everything else, numbers little-endian.
  std::string_view bytes = {};

  bool Is(uint32_t n, Type t) const { return number == n && type == t; }
};

// Reads the fields of a message in their order. Does not own it.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : message_(message), rest_(message) {}

  // Goes to the next field; false at the end, or where this is no message, and ok() with it.
  bool Next();
  bool ok() const { return ok_; }
  const WireField& field() const { return field_; }
  // The field as it is in the message, with its number.
  std::string_view raw() const {
    return message_.substr(begin_, message_.size() - rest_.size() - begin_);
  }

 private:
  bool Fail() { return ok_ = false; }

  std::string_view message_;
  storage::ByteReader rest_;
  size_t begin_ = 0;
  WireField field_;
  bool ok_ = true;
};

// -1, 1, -2, … of 1, 2, 3, ….
inline int64_t FromZigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

// A repeated field of fixed width: mostly in one piece, which is left where it is.
template <typename Number>
class FixedList {
 public:
  // False where the field is no list of such numbers.
  bool Add(const WireField& field) {
    constexpr auto kOne =
        sizeof(Number) == 8 ? WireField::Type::kFixed64 : WireField::Type::kFixed32;
    if (field.type != kOne && field.type != WireField::Type::kBytes) return true;
    if (field.bytes.size() % sizeof(Number) != 0) return false;
    if (bytes().empty()) {
      in_place_ = field.bytes;
    } else {
      if (gathered_.empty()) gathered_ = in_place_;
      gathered_.append(field.bytes);
    }
    return true;
  }
  storage::Packed<Number> numbers() const { return storage::Packed<Number>(bytes()); }

 private:
  std::string_view bytes() const { return gathered_.empty() ? in_place_ : gathered_; }

  std::string_view in_place_;
  std::string gathered_;
};

// Appends the numbers of a repeated sint64. False where the field is no list of them.
bool AddZigzags(const WireField& field, std::vector<int64_t>& numbers);

}  // namespace sluice::typed

#endif  // SLUICE_SERVER_TYPED_WIRE_READER_H_

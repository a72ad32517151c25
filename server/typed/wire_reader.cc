#include "server/typed/wire_reader.h"

#include <limits>

namespace sluice::typed {

bool WireReader::Next() {
  if (!ok_ || rest_.empty()) return false;
  begin_ = message_.size() - rest_.size();
  const uint64_t tag = rest_.Varint();
  const uint64_t number = tag >> 3;
  if (number == 0 || tag > std::numeric_limits<uint32_t>::max()) return Fail();
  field_.number = static_cast<uint32_t>(number);
  field_.type = static_cast<WireField::Type>(tag & 7);
  field_.bytes = {};
  switch (field_.type) {
    case WireField::Type::kVarint:
      field_.value = rest_.Varint();
      break;
    case WireField::Type::kFixed64:
      field_.bytes = rest_.Raw(8);
      break;
    case WireField::Type::kBytes:
      field_.bytes = rest_.Bytes();
      break;
    case WireField::Type::kFixed32:
      field_.bytes = rest_.Raw(4);
      break;
    default:
      return Fail();
  }
  return rest_.ok() || Fail();
}

bool AddZigzags(const WireField& field, std::vector<int64_t>& numbers) {
  if (field.type == WireField::Type::kVarint) numbers.push_back(FromZigzag(field.value));
  if (field.type != WireField::Type::kBytes) return true;
  storage::ByteReader rest(field.bytes);
  while (!rest.empty() && rest.ok()) numbers.push_back(rest.Zigzag());
  if (rest.ok()) return true;
  return false;
}

}  // namespace sluice::typed

#include "storage/rocksdb/mark.h"

#include "storage/bytes.h"

namespace sluice::storage {

std::string EncodeMark(const Mark& mark) {
  std::string bytes;
  PutZigzag(bytes, mark.sequence);
  PutZigzag(bytes, mark.time_ns);
  return bytes;
}

absl::StatusOr<Mark> DecodeMark(std::string_view bytes) {
  ByteReader reader(bytes);
  const Mark mark{.sequence = reader.Zigzag(), .time_ns = reader.Zigzag()};
  if (reader.ok() && reader.empty()) return mark;
  return absl::DataLossError("damaged mark of a writer");
}

}  // namespace sluice::storage

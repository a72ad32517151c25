#include "server/ingest/point_columns.h"

namespace sluice::ingest {

size_t PointColumns::taken_bytes() const {
  constexpr size_t kNumberBytes = sizeof(int64_t);
  // The set and the time.
  size_t bytes = 2 * kNumberBytes * rows + kNumberBytes * tags.size() * sets;
  for (const FieldColumn& field : fields) {
    bytes += kNumberBytes * field.count;
    if (field.type != FieldType::kString) continue;
    for (size_t i = 0; i < field.count; ++i) bytes += field.text(i).size();
  }
  return bytes;
}

}  // namespace sluice::ingest

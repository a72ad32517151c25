#include "server/influx/encoded_lines.h"

namespace sluice::influx {

absl::Status EncodedLines::Rewind() {
  if (!lines_) {
    absl::StatusOr<std::string_view> plain = decoder_.Decode(encoding_, body_);
    if (!plain.ok()) return plain.status();
    lines_.emplace(*plain);
  }
  return lines_->Rewind();
}

}  // namespace sluice::influx

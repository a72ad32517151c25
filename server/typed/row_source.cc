#include "server/typed/row_source.h"

#include <fmt/format.h>

#include <utility>

#include "server/ingest/bad_field.h"
#include "storage/reason.h"

namespace sluice::typed {
namespace {

using ingest::FieldType;
using Type = WireField::Type;

int64_t Le64(std::string_view bytes) { return storage::Packed<int64_t>(bytes)[0]; }

// Reads a FieldValue. Of several values the last one counts, as in every oneof. False where it is
// none; `found` tells whether there is any.
bool ReadValue(std::string_view message, ingest::Field& to, bool& found) {
  WireReader reader(message);
  while (reader.Next()) {
    const WireField& field = reader.field();
    const auto set = [&](FieldType type, int64_t bits, std::string_view text = {}) {
      to.type = type;
      to.bits = bits;
      to.text = text;
      found = true;
    };
    if (field.Is(1, Type::kFixed64)) set(FieldType::kFloat, Le64(field.bytes));
    if (field.Is(2, Type::kVarint)) set(FieldType::kInteger, FromZigzag(field.value));
    if (field.Is(3, Type::kVarint)) set(FieldType::kUnsigned, static_cast<int64_t>(field.value));
    if (field.Is(4, Type::kBytes)) set(FieldType::kString, 0, field.bytes);
    if (field.Is(5, Type::kVarint)) set(FieldType::kBoolean, field.value != 0 ? 1 : 0);
  }
  return reader.ok();
}

}  // namespace

absl::Status TooManyPoints() {
  return storage::WithReason(
      absl::ResourceExhaustedError(
          fmt::format("the batch has more than {} points; send it in several", kMaxBatchPoints)),
      "TOO_MANY_POINTS", {{"max_points", std::to_string(kMaxBatchPoints)}});
}

absl::Status RowSource::Rewind() {
  reader_ = WireReader(batch_);
  next_ = 0;
  error_ = absl::OkStatus();
  return error_;
}

ingest::PointSource::Item RowSource::Next() {
  while (reader_.Next()) {
    if (!reader_.field().Is(1, Type::kBytes)) continue;
    const std::string path = fmt::format("rows.points[{}]", next_++);
    if (!ReadPoint(reader_.field().bytes)) {
      return Fail(path, "could not be parsed as a Point");
    }
    if (next_ > kMaxBatchPoints) {
      error_ = TooManyPoints();
      return Item::kBroken;
    }
    if (tags_.size() + fields_.size() <= kMaxKeys) return Item::kPoint;
    return Fail(path, fmt::format("has more than {} tags and fields", kMaxKeys));
  }
  if (!error_.ok()) return Item::kBroken;
  return reader_.ok() ? Item::kEnd : Fail("rows", "could not be parsed as a RowBatch");
}

ingest::PointSource::Item RowSource::Fail(std::string_view path, std::string_view message) {
  error_ = ingest::BadField(path, message);
  return Item::kBroken;
}

bool RowSource::ReadPoint(std::string_view message) {
  point_ = ingest::Point();
  tags_.clear();
  fields_.clear();
  WireReader reader(message);
  while (reader.Next() && tags_.size() + fields_.size() <= kMaxKeys) {
    const WireField& field = reader.field();
    if (field.Is(1, Type::kBytes)) point_.table = field.bytes;
    if (field.Is(2, Type::kBytes) && !ReadTag(field.bytes)) return false;
    if (field.Is(3, Type::kBytes) && !ReadField(field.bytes)) return false;
    if (field.Is(4, Type::kFixed64)) point_.timestamp = Le64(field.bytes);
  }
  point_.tags = tags_;
  point_.fields = fields_;
  return reader.ok();
}

bool RowSource::ReadTag(std::string_view message) {
  ingest::Tag& tag = tags_.emplace_back();
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.field().Is(1, Type::kBytes)) tag.key = reader.field().bytes;
    if (reader.field().Is(2, Type::kBytes)) tag.value = reader.field().bytes;
  }
  return reader.ok();
}

// One without a value is as if it were not there.
bool RowSource::ReadField(std::string_view message) {
  ingest::Field& field = fields_.emplace_back();
  bool found = false;
  WireReader reader(message);
  while (reader.Next()) {
    if (reader.field().Is(1, Type::kBytes)) field.key = reader.field().bytes;
    if (reader.field().Is(2, Type::kBytes) && !ReadValue(reader.field().bytes, field, found)) {
      return false;
    }
  }
  if (!found) fields_.pop_back();
  return reader.ok();
}

}  // namespace sluice::typed

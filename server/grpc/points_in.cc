#include "server/grpc/points_in.h"

#include <fmt/format.h>
#include <grpcpp/impl/codegen/proto_utils.h>

#include <utility>

#include "server/ingest/bad_field.h"
#include "server/lineprotocol/line_source.h"
#include "server/typed/column_source.h"
#include "server/typed/row_source.h"
#include "server/typed/wire_reader.h"

namespace sluice::grpc_door {
namespace {

// A parsed message takes many times what was sent, if that is all unknown fields.
constexpr size_t kMaxRestBytes = 16 << 10;

}  // namespace

std::string_view PointsIn::field() const {
  switch (kind) {
    case Kind::kLines:
      return "line_protocol";
    case Kind::kRows:
      return "rows";
    case Kind::kColumns:
      return "columns";
  }
  return "";
}

std::unique_ptr<ingest::PointSource> PointsIn::MakeSource() const {
  switch (kind) {
    case Kind::kRows:
      return std::make_unique<typed::RowSource>(bytes);
    case Kind::kColumns:
      return std::make_unique<typed::ColumnSource>(bytes);
    case Kind::kLines:
      break;
  }
  return std::make_unique<lineprotocol::LineSource>(bytes);
}

absl::StatusOr<PointsIn> TakeApart(std::string_view message, const PointsFields& fields,
                                   std::string& rest) {
  using Kind = PointsIn::Kind;
  PointsIn points;
  bool found = false;
  typed::WireReader reader(message);
  while (reader.Next()) {
    const typed::WireField& field = reader.field();
    const bool is_points = field.type == typed::WireField::Type::kBytes &&
                           (field.number == fields.lines || field.number == fields.rows ||
                            field.number == fields.columns);
    if (!is_points) {
      rest.append(reader.raw());
      if (rest.size() <= kMaxRestBytes) continue;
      return ingest::BadField("request", fmt::format("the fields besides the points take more than "
                                                     "{} bytes",
                                                     kMaxRestBytes));
    }
    points.kind = field.number == fields.lines  ? Kind::kLines
                  : field.number == fields.rows ? Kind::kRows
                                                : Kind::kColumns;
    points.bytes = field.bytes;
    if (std::exchange(found, true)) {
      return ingest::BadField(points.field(), "the message has points twice");
    }
  }
  if (!reader.ok()) return NotParsed();
  points.is_set = found;
  return points;
}

absl::Status PointsIn::Check() const {
  if (is_set) return absl::OkStatus();
  return ingest::BadField("points", "none are there: set one of line_protocol, rows and columns");
}

absl::Status NotParsed() {
  return absl::InvalidArgumentError(
      "the request could not be parsed as the message that the method takes; texts must be UTF-8");
}

Message::Message(grpc::ByteBuffer& buffer) {
  bytes_.reserve(buffer.Length());
  {
    grpc::ProtoBufferReader reader(&buffer);
    const void* piece = nullptr;
    int size = 0;
    while (reader.Next(&piece, &size)) {
      bytes_.append(static_cast<const char*>(piece), static_cast<size_t>(size));
    }
  }
  buffer.Clear();
}

absl::Status Message::Decompress(size_t max_bytes, server::MemoryBudget& budget) {
  if (!is_compressed()) return absl::OkStatus();
  decoder_ = std::make_unique<http::ContentDecoder>(max_bytes, budget);
  const absl::StatusOr<std::string_view> decompressed = decoder_->Decode("gzip", bytes_);
  if (decompressed.ok()) decompressed_ = *decompressed;
  return decompressed.status();
}

grpc::Status Serialize(const google::protobuf::Message& message, grpc::ByteBuffer& to) {
  to.Clear();
  bool owned = false;
  return grpc::GenericSerialize<grpc::ProtoBufferWriter, google::protobuf::Message>(message, &to,
                                                                                    &owned);
}

}  // namespace sluice::grpc_door

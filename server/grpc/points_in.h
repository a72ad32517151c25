#ifndef SLUICE_SERVER_GRPC_POINTS_IN_H_
#define SLUICE_SERVER_GRPC_POINTS_IN_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/http/content_encoding.h"
#include "server/ingest/point.h"
#include "sluice/v1/write.pb.h"

// The points of a message, apart from what it says about them. They are not parsed into generated
// messages: that would be done before anyone has looked at who sends them, and can take fifty times
// what was sent.

namespace sluice::grpc_door {

// The points, as they were sent. Refers to the message.
struct PointsIn {
  enum class Kind { kLines, kRows, kColumns };

  Kind kind = Kind::kLines;
  std::string_view bytes = {};
  bool is_set = false;

  // InvalidArgument where the message has none.
  absl::Status Check() const;

  // The field's name: "line_protocol", "rows" or "columns".
  std::string_view field() const;
  // Where its points are: "line_protocol", "rows.points" or "columns".
  std::string_view points_field() const { return kind == Kind::kRows ? "rows.points" : field(); }
  std::unique_ptr<ingest::PointSource> MakeSource() const;
};

// The field numbers that the three forms have in a message.
struct PointsFields {
  uint32_t lines;
  uint32_t rows;
  uint32_t columns;
};
inline constexpr PointsFields kWriteRequestPoints = {v1::WriteRequest::kLineProtocolFieldNumber,
                                                     v1::WriteRequest::kRowsFieldNumber,
                                                     v1::WriteRequest::kColumnsFieldNumber};
inline constexpr PointsFields kValidateRequestPoints = {
    v1::ValidateRequest::kLineProtocolFieldNumber, v1::ValidateRequest::kRowsFieldNumber,
    v1::ValidateRequest::kColumnsFieldNumber};
inline constexpr PointsFields kBatchPoints = {v1::WriteStreamBatch::kLineProtocolFieldNumber,
                                              v1::WriteStreamBatch::kRowsFieldNumber,
                                              v1::WriteStreamBatch::kColumnsFieldNumber};

// What ParseApart is made of: `rest` gets all other fields.
absl::StatusOr<PointsIn> TakeApart(std::string_view message, const PointsFields& fields,
                                   std::string& rest);

// InvalidArgument, for bytes that are not the message that the method takes (contract W-93).
absl::Status NotParsed();

// Parses `message` without its points, and returns those. InvalidArgument where it is no such
// message, has points twice, or is large without them.
template <typename Message>
absl::StatusOr<PointsIn> ParseApart(std::string_view message, const PointsFields& fields,
                                    Message& parsed) {
  std::string rest;
  absl::StatusOr<PointsIn> points = TakeApart(message, fields, rest);
  if (!points.ok() || parsed.ParseFromString(rest)) return points;
  return NotParsed();
}

// A message in one piece, which may be gzip (contract W-93): gRPC does not decompress by itself,
// for it would look at the size of what comes out only when it is there.
class Message {
 public:
  Message() = default;
  // What `buffer` has, which it no longer has itself. A copy, and for a thread of gRPC's: what gRPC
  // has received counts towards its quota, and gRPC 1.51 follows a null pointer where another
  // thread gives it back while the quota is used up.
  explicit Message(grpc::ByteBuffer& buffer);

  // No message of protobuf begins like gzip.
  bool is_compressed() const { return std::string_view(bytes_).starts_with("\x1f\x8b"); }
  // Where it is compressed: InvalidArgument, or as ContentDecoder says, which takes its memory from
  // `budget`.
  absl::Status Decompress(size_t max_bytes, server::MemoryBudget& budget);

  std::string_view bytes() const { return decoder_ == nullptr ? bytes_ : decompressed_; }
  // As it came.
  size_t received_bytes() const { return bytes_.size(); }

 private:
  std::string bytes_;
  std::unique_ptr<http::ContentDecoder> decoder_;
  std::string_view decompressed_;
};

grpc::Status Serialize(const google::protobuf::Message& message, grpc::ByteBuffer& to);

}  // namespace sluice::grpc_door

#endif  // SLUICE_SERVER_GRPC_POINTS_IN_H_

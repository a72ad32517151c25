#ifndef SLUICE_SERVER_TYPED_ROW_SOURCE_H_
#define SLUICE_SERVER_TYPED_ROW_SOURCE_H_

#include <cstddef>
#include <string_view>
#include <vector>

#include "server/ingest/point.h"
#include "server/typed/wire_reader.h"

namespace sluice::typed {

// So many tags and fields may a point have, or a table of a column batch, however many columns a
// table may: they take memory before any rule is asked.
inline constexpr size_t kMaxKeys = 4'096;
// Of one batch: a row of a column batch may be a single bit.
inline constexpr size_t kMaxBatchPoints = 1'000'000;

// ResourceExhausted, for a batch that has more.
absl::Status TooManyPoints();

// The points of a serialized sluice.v1.RowBatch (points.proto), read one by one.
class RowSource : public ingest::PointSource {
 public:
  // `batch` must outlive it.
  explicit RowSource(std::string_view batch) : batch_(batch) {}

  absl::Status Rewind() override;
  Item Next() override;
  const ingest::Point& point() const override { return point_; }
  absl::Status error() const override { return error_; }
  // Every point can be read, or none.
  ingest::Objection fault() const override { return {}; }
  std::optional<ingest::Place::Line> line() override { return std::nullopt; }
  std::string_view text() const override { return {}; }
  size_t bytes() const override { return batch_.size(); }
  bool is_utf8() const override { return false; }
  bool is_quick() const override { return true; }
  std::string_view no_points() const override { return "no points: the rows are empty"; }

 private:
  bool ReadPoint(std::string_view message);
  bool ReadTag(std::string_view message);
  bool ReadField(std::string_view message);
  Item Fail(std::string_view path, std::string_view message);

  const std::string_view batch_;
  WireReader reader_{batch_};
  size_t next_ = 0;
  absl::Status error_;
  ingest::Point point_;
  std::vector<ingest::Tag> tags_;
  std::vector<ingest::Field> fields_;
};

}  // namespace sluice::typed

#endif  // SLUICE_SERVER_TYPED_ROW_SOURCE_H_

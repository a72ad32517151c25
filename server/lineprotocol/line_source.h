#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_SOURCE_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_SOURCE_H_

#include <optional>
#include <string_view>

#include "server/ingest/point.h"
#include "server/lineprotocol/line_reader.h"

namespace sluice::lineprotocol {

// The points of a body of line protocol, a point for each line that is not blank or a comment.
class LineSource : public ingest::PointSource {
 public:
  // `body` must outlive it.
  explicit LineSource(std::string_view body) : body_(body) {}

  // InvalidArgument where the body is not UTF-8 as a whole (contract W-52).
  absl::Status Rewind() override;
  Item Next() override;
  const ingest::Point& point() const override { return reader_->line(); }
  ingest::Objection fault() const override;
  std::optional<ingest::Place::Line> line() override;
  std::string_view text() const override { return reader_->text(); }
  size_t bytes() const override { return body_.size(); }
  bool is_utf8() const override { return true; }
  bool is_quick() const override { return body_.size() <= kQuickBytes; }
  std::string_view no_points() const override {
    return "no points: the body has no line of line protocol besides blank lines and comments";
  }

 private:
  // What takes some tens of microseconds: as long as to hand it to another thread.
  static constexpr size_t kQuickBytes = size_t{16} << 10;

  const std::string_view body_;
  bool is_checked_ = false;
  std::optional<LineReader> reader_;
};

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_SOURCE_H_

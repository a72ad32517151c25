#ifndef SLUICE_SERVER_INFLUX_ENCODED_LINES_H_
#define SLUICE_SERVER_INFLUX_ENCODED_LINES_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/content_encoding.h"
#include "server/ingest/point.h"
#include "server/lineprotocol/line_source.h"
#include "server/resources/memory_budget.h"

namespace sluice::influx {

// The lines of a body that may be compressed (contract W-37, W-38): it is decompressed when it is
// first gone through, by whoever does that.
class EncodedLines : public ingest::PointSource {
 public:
  // `encoding` is that of the header Content-Encoding. `body` and `budget` must outlive it.
  EncodedLines(std::string encoding, std::string_view body, size_t max_bytes,
               server::MemoryBudget& budget)
      : encoding_(std::move(encoding)), body_(body), decoder_(max_bytes, budget) {}

  absl::Status Rewind() override;
  Item Next() override { return lines_->Next(); }
  const ingest::Point& point() const override { return lines_->point(); }
  ingest::Objection fault() const override { return lines_->fault(); }
  std::optional<ingest::Place::Line> line() override { return lines_->line(); }
  std::string_view text() const override { return lines_->text(); }
  size_t bytes() const override { return lines_ ? lines_->bytes() : body_.size(); }
  bool is_utf8() const override { return true; }
  bool is_quick() const override {
    return encoding_.empty() && lineprotocol::LineSource(body_).is_quick();
  }
  std::string_view no_points() const override { return lines_->no_points(); }

 private:
  const std::string encoding_;
  const std::string_view body_;
  http::ContentDecoder decoder_;
  std::optional<lineprotocol::LineSource> lines_;
};

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_ENCODED_LINES_H_

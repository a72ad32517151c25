#ifndef SLUICE_SERVER_INFLUX_RESULT_FORMAT_H_
#define SLUICE_SERVER_INFLUX_RESULT_FORMAT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/query/value.h"

namespace sluice::influx {

// Writes a query's result as text, piece by piece:
//
//   json    an array of objects
//   jsonl   an object a line
//   csv     RFC 4180, with a header; NULL is an empty field
//   pretty  a table for a person; columns are as wide as the first 1,000 rows, or the
//           first MiB, need
class ResultFormat {
 public:
  // InvalidArgument for any other name; an empty one means json.
  static absl::StatusOr<std::unique_ptr<ResultFormat>> Create(std::string_view name);
  virtual ~ResultFormat() = default;

  virtual std::string_view content_type() const = 0;
  // Each appends to `out`. Columns first, once; then rows; then the end, once.
  virtual void PutColumns(const std::vector<query::Column>& columns, std::string& out) = 0;
  virtual void PutRow(const query::Row& row, std::string& out) = 0;
  virtual void PutEnd(std::string& out) = 0;
};

}  // namespace sluice::influx

#endif  // SLUICE_SERVER_INFLUX_RESULT_FORMAT_H_

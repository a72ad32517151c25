#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/lineprotocol/line.h"
#include "server/lineprotocol/series_index.h"

namespace sluice::lineprotocol {

// Reads a body of line protocol line by line, in one pass and without an allocation for each. There
// are three ways through a line, each of which gives way to the next:
//
//   predicted   the series is one seen before, and the fields have the keys and types that its last
//               line had: keys are compared, only values are read
//   plain       without escapes in names, comments or faults
//   any         the parser that knows every rule (line_parser.h)
//
// They agree: what the first two accept, the last reads as the same.
//
//   LineReader reader(body);
//   while (reader.Next()) {
//     if (reader.fault()) …Text(*reader.fault())…
//     else …reader.line()…
//   }
//
// The body must be UTF-8, and outlive the reader. For one thread.
class LineReader {
 public:
  explicit LineReader(std::string_view body) : body_(body) {}

  // Goes to the next line that is not blank or a comment; false at the end.
  bool Next();

  // What is wrong with the line, if anything is.
  const std::optional<SyntaxFault>& fault() const { return fault_; }
  // The line, where there is no fault; of a faulty one, what could be read.
  const Line& line() const { return line_; }
  // The line as sent, without its end.
  std::string_view text() const { return body_.substr(begin_, end_ - begin_); }
  // Its place in the body, in bytes.
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }
  // The number of the physical line at which it begins, counted from 1 (contract W-22).
  int64_t LineNumber();

 private:
  // The fields that a line had, as a pattern for the next: keys and types stay, values are
  // overwritten.
  struct Shape {
    std::vector<Field> fields;
  };

  bool ReadPlain();
  bool ReadPredictedFields(size_t& at, Shape& shape);
  bool ReadPredictedValue(size_t& at, Field& field);
  bool ReadPlainFields(size_t& at);
  bool ReadPlainString(size_t& at, Field& field);
  bool ReadPlainEnd(size_t& at);
  uint32_t NumberShape();
  bool ReadAny();
  size_t FindEnd() const;
  std::string_view Unescape(std::string_view text);

  const std::string_view body_;
  // Where the next line begins.
  size_t next_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  Line line_;
  std::optional<SyntaxFault> fault_;

  SeriesIndex series_;
  std::vector<Shape> shapes_;
  // By a hash of keys and types.
  absl::flat_hash_map<uint64_t, uint32_t> shape_numbers_;
  // Of a line whose shape was not predicted.
  LineMemory memory_;
  // Strings of the line that had escapes; those from unescaped_count_ on are free.
  std::deque<std::string> unescaped_;
  size_t unescaped_count_ = 0;

  // Newlines are counted only up to where somebody asked.
  size_t counted_ = 0;
  int64_t newlines_ = 0;
};

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_

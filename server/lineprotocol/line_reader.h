#ifndef SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_
#define SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "server/lineprotocol/line.h"

namespace sluice::lineprotocol {

// Reads a body of line protocol line by line. The common line is read in one pass and without an
// allocation; anything unusual goes to the parser that knows every rule (line_parser.h). The two
// agree: what the first accepts, the second reads as the same.
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
  bool ReadPlain();
  bool ReadPlainTags(size_t& at);
  bool ReadPlainFields(size_t& at);
  bool ReadPlainString(size_t& at, Field& field) const;
  bool ReadPlainEnd(size_t& at);
  bool ReadAny();
  size_t FindEnd() const;

  const std::string_view body_;
  // Where the next line begins.
  size_t next_ = 0;
  size_t begin_ = 0;
  size_t end_ = 0;
  Line line_;
  std::optional<SyntaxFault> fault_;
  std::string scratch_;

  // Newlines are counted only up to where somebody asked.
  size_t counted_ = 0;
  int64_t newlines_ = 0;
};

}  // namespace sluice::lineprotocol

#endif  // SLUICE_SERVER_LINEPROTOCOL_LINE_READER_H_

#ifndef SLUICE_CLIENT_CLI_CHUNKS_H_
#define SLUICE_CLIENT_CLI_CHUNKS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/input.h"
#include "client/precision.h"

namespace sluice::client {

// Lines of line protocol on their way to the server, and where in the file they came from.
struct Chunk {
  // Whole lines, in UTF-8.
  std::string text;
  // The number in the file, counted from 1, of the line that is the first here.
  int64_t first_line = 1;
  // Of each line here, where they do not follow one another in the file.
  std::vector<int64_t> lines = {};
  // Those left out, with why.
  struct BadLine {
    int64_t line = 0;
    std::string reason;
    std::string message;
    std::string excerpt;
  };
  std::vector<BadLine> bad_lines = {};

  // Where the line with that number here, counted from 1, is in the file.
  int64_t LineInFile(int64_t line) const;
};

// Whether there is anything besides blank lines and comments.
bool HoldsPoints(std::string_view lines);

// Cuts a file into chunks of whole lines, the same way each time that the file is read.
class Chunks {
 public:
  virtual ~Chunks() = default;
  // Nothing at the end.
  virtual absl::StatusOr<std::optional<Chunk>> Next() = 0;
};

// Of line protocol. Points that go over several lines, since a text in quotes does, stay whole.
class LineChunks : public Chunks {
 public:
  // A chunk has at most so many bytes, unless a point has more. Of input that comes slowly what
  // there is goes after a second, unless chunks are to be the same again. `input` must outlive it.
  LineChunks(Input& input, size_t chunk_bytes, bool same_again = true)
      : input_(input), chunk_bytes_(chunk_bytes), same_again_(same_again) {}
  absl::StatusOr<std::optional<Chunk>> Next() override;

 private:
  absl::Status Fill(size_t bytes);
  size_t FindCut(size_t bytes) const;

  Input& input_;
  const size_t chunk_bytes_;
  const bool same_again_;
  std::string buffer_;
  bool is_at_end_ = false;
  int64_t next_line_ = 1;
};

// How the columns of a CSV become a point.
struct CsvFormat {
  std::string table;
  // Those that are tags.
  std::vector<std::string> tags = {};
  // That with the timestamp: a number in `precision`, or RFC 3339. Empty: points get the time at
  // which they arrive.
  std::string time = "time";
  // Of the timestamps, also in the lines that are made.
  Precision precision = Precision::kNanosecond;
  char separator = ',';
  // Values that are none, besides the empty one.
  std::vector<std::string> nulls = {};
  // What the table's columns are known to be: "tag", "float" and so on, by name.
  std::map<std::string, std::string> known = {};
};

// Of CSV (RFC 4180) with a header. What a column is says the header, as in `count:integer`, or the
// format, or what is known of the table; or else it is a field of booleans, numbers or texts as all
// its values in the first thousand records are, or where there are none the first one after these.
// A value that is empty is none, unless it is a text in quotes.
class CsvChunks : public Chunks {
 public:
  // `same_again` as for LineChunks.
  CsvChunks(Input& input, size_t chunk_bytes, CsvFormat format, bool same_again = true)
      : input_(input),
        chunk_bytes_(chunk_bytes),
        format_(std::move(format)),
        same_again_(same_again) {}
  // Reads the header and what it takes to know the columns; Next does so too.
  absl::Status Begin();
  absl::StatusOr<std::optional<Chunk>> Next() override;
  // Which columns are what, for a person. After Begin.
  std::string ShowColumns() const;
  bool HasGuessed() const;

 private:
  enum class Kind { kGuess, kTag, kTime, kFloat, kInteger, kUnsigned, kBoolean, kString };
  struct Column {
    std::string name;
    Kind kind;
    bool is_guessed = false;
  };
  struct Record {
    std::vector<std::string> values;
    // Of each.
    std::vector<bool> are_quoted;
    int64_t line = 0;
    bool is_closed = true;
  };

  absl::StatusOr<bool> ReadByte(char& byte);
  absl::Status SkipByteOrderMark();
  absl::StatusOr<bool> ReadRecord(Record& record);
  absl::StatusOr<Column> ColumnOf(std::string title) const;
  static Kind KindOf(std::string_view word);
  static Kind KindOfValue(const std::string& value);
  bool IsNone(const Record& record, size_t column) const;
  // Whether nothing has come for a while.
  bool IsSlow() const;
  absl::Status Guess();
  // A timestamp of a line.
  absl::StatusOr<std::string> TimeOf(const std::string& value) const;
  // The record as a line, or what is wrong with it.
  absl::Status AppendLine(const Record& record, std::string& to);

  Input& input_;
  const size_t chunk_bytes_;
  const CsvFormat format_;
  const bool same_again_;
  std::string buffer_;
  size_t at_ = 0;
  int64_t line_ = 1;
  std::vector<Column> columns_;
  std::vector<Record> sample_;
  size_t sample_taken_ = 0;
  bool has_begun_ = false;
  bool has_time_ = false;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_CHUNKS_H_

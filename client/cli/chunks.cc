#include "client/cli/chunks.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "server/ingest/utf8.h"
#include "server/lineprotocol/line_reader.h"

namespace sluice::client {
namespace {

// A point has at most so much: a text of 1 MiB, and whatever else.
constexpr size_t kMaxPointBytes = size_t{8} << 20;
constexpr size_t kReadBytes = 256 << 10;
constexpr size_t kExcerptBytes = 200;
constexpr std::chrono::seconds kPatience(1);
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr size_t kSampleRecords = 1000;
constexpr size_t kShownBytes = 40;
// Of CsvChunks::Kind.
constexpr std::string_view kKindNames[] = {"",        "tag",      "time",    "float",
                                           "integer", "unsigned", "boolean", "string"};
// Smaller numbers are taken for those of a coarser unit where the precision is to be guessed.
constexpr int64_t kFirstClearNs = 5'000'000'000'000'000;

// In nanoseconds; nothing where it is told by the number itself.
std::optional<int64_t> UnitOf(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return std::nullopt;
    case Precision::kMicrosecond:
      return 1'000;
    case Precision::kMillisecond:
      return 1'000'000;
    case Precision::kSecond:
      return 1'000'000'000;
    case Precision::kNanosecond:
      break;
  }
  return 1;
}

// Takes out the lines that are not UTF-8, for the server would refuse all of them for it. A text in
// quotes that goes over several lines is one of them.
void TakeOutBadLines(Chunk& chunk) {
  if (ingest::IsUtf8(chunk.text)) return;
  // Where lines begin and end does not depend on what else is in them.
  std::string ascii = chunk.text;
  for (char& c : ascii) c = absl::ascii_isascii(static_cast<unsigned char>(c)) ? c : 'x';
  std::string good;
  size_t taken = 0;
  lineprotocol::LineReader reader(ascii);
  while (reader.Next()) {
    const std::string_view text =
        std::string_view(chunk.text).substr(reader.begin(), reader.end() - reader.begin());
    if (ingest::IsUtf8(text)) continue;
    std::string excerpt(text.substr(0, kExcerptBytes));
    for (char& c : excerpt) c = absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '?';
    chunk.bad_lines.push_back(
        {chunk.first_line + reader.LineNumber() - 1, "NOT_UTF8", "the line is not UTF-8", excerpt});
    good.append(chunk.text, taken, reader.begin() - taken);
    // The others keep their numbers.
    good.append(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), '\n');
    taken = reader.end();
  }
  good.append(chunk.text, taken, std::string::npos);
  // What is left is in comments.
  if (!ingest::IsUtf8(good)) {
    for (char& c : good) c = absl::ascii_isascii(static_cast<unsigned char>(c)) ? c : '?';
  }
  chunk.text = std::move(good);
}

bool IsBoolean(std::string_view text) {
  for (const char* word : {"true", "false", "True", "False", "TRUE", "FALSE", "t", "f", "T", "F"}) {
    if (text == word) return true;
  }
  return false;
}

bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }

// The number as line protocol has it: as it is where it can be, for that is exact. Nothing of what
// is none.
std::optional<std::string> FloatOf(const std::string& text) {
  double number = 0;
  const auto is_space = [](char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); };
  if (text.empty() || is_space(text.front()) || is_space(text.back()) ||
      !absl::SimpleAtod(text, &number) || !std::isfinite(number)) {
    return std::nullopt;
  }
  // Not so ".5", "5." and "+5".
  bool is_plain = IsDigit(text.front() == '-' && text.size() > 1 ? text[1] : text.front());
  const size_t point = text.find('.');
  is_plain &= point == std::string::npos || (point + 1 < text.size() && IsDigit(text[point + 1]));
  return is_plain ? text : fmt::format("{}", number);
}

bool IsFloat(const std::string& text) { return FloatOf(text).has_value(); }

template <typename Integer>
bool IsInteger(const std::string& text) {
  Integer number = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && at == end;
}

// As names and tags are: nothing escapes the end of a line.
bool IsOneLine(std::string_view text) { return text.find_first_of("\r\n") == std::string::npos; }

// Escapes for a table, where an equals sign is one like any other; and for a tag or a field key.
void AppendName(std::string_view name, std::string_view escaped, std::string& to) {
  for (char c : name) {
    if (escaped.find(c) != std::string_view::npos) to += '\\';
    to += c;
  }
}
void AppendTable(std::string_view name, std::string& to) { AppendName(name, ", \\", to); }
void AppendKey(std::string_view name, std::string& to) { AppendName(name, ", =\\", to); }

void AppendText(std::string_view text, std::string& to) {
  to += '"';
  for (char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    to += c;
  }
  to += '"';
}

}  // namespace

int64_t Chunk::LineInFile(int64_t line) const {
  if (lines.empty()) return first_line + line - 1;
  if (line < 1 || static_cast<size_t>(line) > lines.size()) return first_line;
  return lines[static_cast<size_t>(line) - 1];
}

bool HoldsPoints(std::string_view lines) { return lineprotocol::LineReader(lines).Next(); }

// ---- Line protocol

absl::Status LineChunks::Fill(size_t bytes) {
  const auto patient_until = std::chrono::steady_clock::now() + kPatience;
  while (!is_at_end_ && buffer_.size() < bytes) {
    if (!same_again_ && !buffer_.empty()) {
      const auto left = patient_until - std::chrono::steady_clock::now();
      const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(left);
      if (wait.count() <= 0 || !input_.IsReady(wait)) break;
    }
    const size_t before = buffer_.size();
    absl::Status read = input_.Read(std::min(kReadBytes, bytes - before), buffer_);
    if (!read.ok()) return read;
    is_at_end_ = buffer_.size() == before;
  }
  return absl::OkStatus();
}

// Behind the last line of the first bytes that is whole and can be read: of one that cannot the
// rest may be yet to come, in a text that goes over several lines.
size_t LineChunks::FindCut(size_t bytes) const {
  const std::string_view text = std::string_view(buffer_).substr(0, bytes);
  const size_t end = text.rfind('\n');
  if (end == std::string::npos) return 0;
  size_t cut = 0;
  lineprotocol::LineReader reader(text.substr(0, end + 1));
  while (reader.Next()) {
    if (!reader.fault()) cut = std::min(reader.end(), end) + 1;
  }
  if (cut > 0) return cut;
  // Nothing that can be read: it is cut anywhere, for it is not to grow for ever.
  return text.size() >= kMaxPointBytes ? end + 1 : 0;
}

absl::StatusOr<std::optional<Chunk>> LineChunks::Next() {
  Chunk chunk;
  for (size_t bytes = chunk_bytes_; chunk.text.empty(); bytes *= 2) {
    absl::Status filled = Fill(bytes);
    if (!filled.ok()) return filled;
    if (is_at_end_ && buffer_.empty()) return std::nullopt;
    // Less than it might have been is all that there is.
    const bool is_last = is_at_end_ && buffer_.size() < bytes;
    const size_t cut = is_last ? buffer_.size() : FindCut(bytes);
    if (cut == 0 && bytes >= 2 * kMaxPointBytes && buffer_.size() >= bytes) {
      return absl::InvalidArgumentError(
          fmt::format("line {} is longer than any point may be", next_line_));
    }
    chunk.text = buffer_.substr(0, cut);
    buffer_.erase(0, cut);
    // It is still to come.
    if (cut == 0 && buffer_.size() < bytes) bytes /= 2;
  }
  chunk.first_line = next_line_;
  next_line_ += std::count(chunk.text.begin(), chunk.text.end(), '\n');
  TakeOutBadLines(chunk);
  return chunk;
}

// ---- CSV

// False at the end.
absl::StatusOr<bool> CsvChunks::ReadByte(char& byte) {
  if (at_ == buffer_.size()) {
    buffer_.clear();
    at_ = 0;
    absl::Status read = input_.Read(kReadBytes, buffer_);
    if (!read.ok()) return read;
    if (buffer_.empty()) return false;
  }
  byte = buffer_[at_++];
  if (byte == '\n') ++line_;
  return true;
}

absl::Status CsvChunks::SkipByteOrderMark() {
  while (buffer_.size() < kByteOrderMark.size()) {
    const size_t before = buffer_.size();
    absl::Status read = input_.Read(kReadBytes, buffer_);
    if (!read.ok()) return read;
    if (buffer_.size() == before) break;
  }
  if (buffer_.starts_with(kByteOrderMark)) at_ = kByteOrderMark.size();
  return absl::OkStatus();
}

// False at the end.
absl::StatusOr<bool> CsvChunks::ReadRecord(Record& record) {
  enum class In { kStart, kPlain, kQuotes, kAfterQuote };
  record.values.assign(1, "");
  record.are_quoted.assign(1, false);
  record.line = line_;
  In in = In::kStart;
  bool is_begun = false;
  // A carriage return is part of a value unless the line ends with it.
  bool has_return = false;
  size_t bytes = 0;
  while (true) {
    char c = 0;
    const absl::StatusOr<bool> found = ReadByte(c);
    if (!found.ok()) return found.status();
    if (++bytes > kMaxPointBytes) {
      return absl::InvalidArgumentError(fmt::format(
          "the record at line {} is longer than any point may be; is a quote not closed?",
          record.line));
    }
    record.is_closed = *found || in != In::kQuotes;
    if (!*found) return is_begun;
    is_begun = true;
    if (std::exchange(has_return, false) && c != '\n') {
      record.values.back() += '\r';
      in = In::kPlain;
    }
    if (in == In::kQuotes) {
      if (c == '"') {
        in = In::kAfterQuote;
      } else {
        record.values.back() += c;
      }
    } else if (c == '"' && in != In::kPlain) {
      // Two of them in quotes are one.
      if (in == In::kAfterQuote) record.values.back() += c;
      record.are_quoted.back() = true;
      in = In::kQuotes;
    } else if (c == '\n') {
      return true;
    } else if (c == format_.separator) {
      record.values.emplace_back();
      record.are_quoted.push_back(false);
      in = In::kStart;
    } else if (c == '\r') {
      has_return = true;
    } else {
      record.values.back() += c;
      in = In::kPlain;
    }
  }
}

absl::Status CsvChunks::Begin() {
  if (std::exchange(has_begun_, true)) return absl::OkStatus();
  absl::Status read = SkipByteOrderMark();
  if (!read.ok()) return read;
  Record header;
  absl::StatusOr<bool> found = ReadRecord(header);
  if (!found.ok()) return found.status();
  if (!*found) return absl::InvalidArgumentError("the file is empty: a CSV begins with a header");
  for (const std::string& title : header.values) {
    absl::StatusOr<Column> column = ColumnOf(std::string(absl::StripAsciiWhitespace(title)));
    if (!column.ok()) return column.status();
    for (const Column& other : columns_) {
      if (other.name == column->name) {
        return absl::InvalidArgumentError(fmt::format("two columns are named '{}'", column->name));
      }
      if (other.kind == Kind::kTime && column->kind == Kind::kTime) {
        return absl::InvalidArgumentError(fmt::format(
            "the columns '{}' and '{}' are both the time: name one", other.name, column->name));
      }
    }
    columns_.push_back(*std::move(column));
  }
  for (const std::string& tag : format_.tags) {
    const bool is_there = std::any_of(columns_.begin(), columns_.end(),
                                      [&](const Column& column) { return column.name == tag; });
    if (!is_there) return absl::InvalidArgumentError(fmt::format("no column is named '{}'", tag));
  }
  has_time_ = std::any_of(columns_.begin(), columns_.end(),
                          [](const Column& column) { return column.kind == Kind::kTime; });
  if (!has_time_ && !format_.time.empty()) {
    return absl::InvalidArgumentError(
        fmt::format("no column is named '{}': name the one with the time, or none for the time of "
                    "arrival, which makes one point of all rows of the same tags",
                    format_.time));
  }
  return Guess();
}

// By the header, the format, and the table.
absl::StatusOr<CsvChunks::Column> CsvChunks::ColumnOf(std::string title) const {
  Column column{std::move(title), Kind::kGuess};
  const size_t colon = column.name.rfind(':');
  if (colon != std::string::npos) {
    const std::string word = column.name.substr(colon + 1);
    column.kind = KindOf(word);
    if (column.kind == Kind::kGuess) {
      return absl::InvalidArgumentError(
          fmt::format("'{}' in the header: '{}' is no type; there are tag, time, float, integer, "
                      "unsigned, boolean and string, and a name with a colon needs one behind it",
                      column.name, word));
    }
    column.name.resize(colon);
  }
  if (column.name.empty()) return absl::InvalidArgumentError("a column has no name");
  if (!IsOneLine(column.name)) {
    return absl::InvalidArgumentError("a column has a name of several lines");
  }
  const bool is_tag =
      std::find(format_.tags.begin(), format_.tags.end(), column.name) != format_.tags.end();
  if (column.kind == Kind::kGuess && is_tag) column.kind = Kind::kTag;
  if (column.kind == Kind::kGuess && column.name == format_.time) column.kind = Kind::kTime;
  const auto known = format_.known.find(column.name);
  if (column.kind == Kind::kGuess && known != format_.known.end() && known->second != "time") {
    column.kind = KindOf(known->second);
  }
  return column;
}

CsvChunks::Kind CsvChunks::KindOf(std::string_view word) {
  for (size_t kind = 1; kind < std::size(kKindNames); ++kind) {
    if (word == kKindNames[kind]) return static_cast<Kind>(kind);
  }
  return Kind::kGuess;
}

bool CsvChunks::IsSlow() const {
  return !same_again_ && at_ == buffer_.size() && !input_.IsReady(kPatience);
}

// What the columns of the first records are.
absl::Status CsvChunks::Guess() {
  while (sample_.size() < kSampleRecords && (sample_.empty() || !IsSlow())) {
    Record record;
    const absl::StatusOr<bool> found = ReadRecord(record);
    if (!found.ok()) return found.status();
    if (!*found) break;
    sample_.push_back(std::move(record));
  }
  for (size_t i = 0; i < columns_.size(); ++i) {
    if (columns_[i].kind != Kind::kGuess) continue;
    columns_[i].is_guessed = true;
    bool are_any = false;
    bool are_booleans = true;
    bool are_floats = true;
    for (const Record& record : sample_) {
      if (i >= record.values.size() || IsNone(record, i)) continue;
      are_any = true;
      are_booleans &= IsBoolean(record.values[i]);
      are_floats &= IsFloat(record.values[i]);
    }
    if (!are_any) continue;
    columns_[i].kind = are_booleans ? Kind::kBoolean : are_floats ? Kind::kFloat : Kind::kString;
  }
  return absl::OkStatus();
}

absl::Status CsvChunks::AppendLine(const Record& record, std::string& to) {
  if (!record.is_closed) return absl::InvalidArgumentError("a text in quotes does not end");
  if (record.values.size() != columns_.size()) {
    return absl::InvalidArgumentError(fmt::format("{} values, and the header has {} columns",
                                                  record.values.size(), columns_.size()));
  }
  AppendTable(format_.table, to);
  std::string fields;
  std::string time;
  for (size_t i = 0; i < columns_.size(); ++i) {
    const std::string& value = record.values[i];
    if (IsNone(record, i)) continue;
    if (columns_[i].kind == Kind::kGuess) columns_[i].kind = KindOfValue(value);
    const auto& [name, kind, is_guessed] = columns_[i];
    if (kind == Kind::kTag) {
      if (!IsOneLine(value)) {
        return absl::InvalidArgumentError(fmt::format("the tag '{}' has several lines", name));
      }
      to += ',';
      AppendKey(name, to);
      to += '=';
      AppendKey(value, to);
      continue;
    }
    const bool fits = kind == Kind::kString || (kind == Kind::kBoolean && IsBoolean(value)) ||
                      (kind == Kind::kFloat && IsFloat(value)) ||
                      (kind == Kind::kUnsigned && IsInteger<uint64_t>(value)) ||
                      (kind == Kind::kInteger && IsInteger<int64_t>(value)) || kind == Kind::kTime;
    if (!fits) {
      return absl::InvalidArgumentError(fmt::format(
          "'{}' is not of type {}, as the column '{}' is{}", value.substr(0, kShownBytes),
          kKindNames[static_cast<size_t>(kind)], name,
          is_guessed ? fmt::format(" by its first values; a type in the header, such as {}:{}, "
                                   "says otherwise",
                                   name, kKindNames[static_cast<size_t>(KindOfValue(value))])
                     : ""));
    }
    if (kind == Kind::kTime) {
      absl::StatusOr<std::string> text = TimeOf(value);
      if (!text.ok()) return text.status();
      time = *std::move(text);
      continue;
    }
    fields += fields.empty() ? ' ' : ',';
    AppendKey(name, fields);
    fields += '=';
    if (kind == Kind::kString) {
      AppendText(value, fields);
    } else if (kind == Kind::kFloat) {
      fields += *FloatOf(value);
    } else {
      fields += value;
    }
    if (kind == Kind::kInteger) fields += 'i';
    if (kind == Kind::kUnsigned) fields += 'u';
  }
  if (fields.empty()) return absl::InvalidArgumentError("no field has a value");
  if (time.empty() && has_time_) return absl::InvalidArgumentError("the time is empty");
  to += fields;
  if (!time.empty()) to += ' ' + time;
  to += '\n';
  return absl::OkStatus();
}

CsvChunks::Kind CsvChunks::KindOfValue(const std::string& value) {
  if (IsBoolean(value)) return Kind::kBoolean;
  return IsFloat(value) ? Kind::kFloat : Kind::kString;
}

bool CsvChunks::IsNone(const Record& record, size_t column) const {
  const std::string& value = record.values[column];
  if (value.empty()) return !(record.are_quoted[column] && columns_[column].kind == Kind::kString);
  return std::find(format_.nulls.begin(), format_.nulls.end(), value) != format_.nulls.end();
}

absl::StatusOr<std::string> CsvChunks::TimeOf(const std::string& value) const {
  if (IsInteger<int64_t>(value)) return value;
  absl::Time time;
  const auto is_so = [&](const char* format) {
    return absl::ParseTime(format, value, &time, nullptr);
  };
  // As PostgreSQL and others print it: in UTC where it does not say.
  const bool is_time = is_so(absl::RFC3339_full) || is_so("%Y-%m-%d%ET%H:%M:%E*S") ||
                       is_so("%Y-%m-%d %H:%M:%E*S") || is_so("%Y-%m-%d %H:%M:%E*S%Ez") ||
                       is_so("%Y-%m-%d");
  if (!is_time) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' is neither a whole number nor a time such as 2026-11-26T12:00:00.5Z",
                    value.substr(0, kShownBytes)));
  }
  const int64_t ns = absl::ToUnixNanos(time);
  const std::optional<int64_t> unit = UnitOf(format_.precision);
  // Of a number by itself nobody could tell the unit near 1970.
  if (absl::FromUnixNanos(ns) != time || (!unit && std::abs(ns) < kFirstClearNs) ||
      ns % unit.value_or(1) != 0) {
    return absl::InvalidArgumentError(
        fmt::format("'{}' does not fit into the timestamps' precision", value));
  }
  return std::to_string(ns / unit.value_or(1));
}

std::string CsvChunks::ShowColumns() const {
  std::string text;
  for (const Column& column : columns_) {
    const std::string_view kind = kKindNames[static_cast<size_t>(column.kind)];
    text +=
        fmt::format("{}{}:{}", text.empty() ? "" : ", ", column.name, kind.empty() ? "?" : kind);
  }
  return text;
}

bool CsvChunks::HasGuessed() const {
  return std::any_of(columns_.begin(), columns_.end(),
                     [](const Column& column) { return column.is_guessed; });
}

absl::StatusOr<std::optional<Chunk>> CsvChunks::Next() {
  absl::Status begun = Begin();
  if (!begun.ok()) return begun;
  Chunk chunk;
  chunk.first_line = line_;
  const auto patient_until = std::chrono::steady_clock::now() + kPatience;
  while (chunk.text.size() < chunk_bytes_ && chunk.bad_lines.size() < kSampleRecords) {
    const bool is_late = !same_again_ && !chunk.text.empty() && sample_taken_ == sample_.size() &&
                         (std::chrono::steady_clock::now() > patient_until || IsSlow());
    if (is_late) break;
    Record record;
    if (sample_taken_ < sample_.size()) {
      record = std::move(sample_[sample_taken_++]);
    } else {
      const absl::StatusOr<bool> found = ReadRecord(record);
      if (!found.ok()) return found.status();
      if (!*found) break;
    }
    if (record.values.size() == 1 && record.values[0].empty()) continue;
    std::string line;
    absl::Status made = AppendLine(record, line);
    if (made.ok() && !ingest::IsUtf8(line)) {
      made = absl::InvalidArgumentError("the record is not UTF-8");
    }
    if (made.ok()) {
      // A text may have several lines.
      chunk.lines.insert(chunk.lines.end(),
                         static_cast<size_t>(std::count(line.begin(), line.end(), '\n')),
                         record.line);
      chunk.text += line;
    } else {
      chunk.bad_lines.push_back({record.line, "CSV", std::string(made.message()), ""});
    }
  }
  if (chunk.text.empty() && chunk.bad_lines.empty()) return std::nullopt;
  return chunk;
}

}  // namespace sluice::client

#include "server/lineprotocol/line_reader.h"

#include <algorithm>

#include "server/lineprotocol/characters.h"
#include "server/lineprotocol/line_parser.h"
#include "server/lineprotocol/number.h"

namespace sluice::lineprotocol {
namespace {

// Skips blanks, newlines and comments.
size_t SkipToContent(std::string_view text) {
  size_t at = 0;
  while (true) {
    at = std::min(text.find_first_not_of(" \t\n", at), text.size());
    if (at == text.size() || text[at] != '#') return at;
    at = std::min(text.find('\n', at), text.size());
  }
}

}  // namespace

bool LineReader::Next() {
  fault_.reset();
  while (next_ < body_.size()) {
    if (body_[next_] == '\n') {
      ++next_;
      continue;
    }
    if (ReadPlain() || ReadAny()) return true;
  }
  return false;
}

int64_t LineReader::LineNumber() {
  newlines_ += std::count(body_.begin() + static_cast<ptrdiff_t>(counted_),
                          body_.begin() + static_cast<ptrdiff_t>(begin_), '\n');
  counted_ = begin_;
  return newlines_ + 1;
}

// Reads a line without escapes, comments, leading blanks, repeated commas, long names or faults.
// False, with nothing but line_ touched, where it is not of that kind.
bool LineReader::ReadPlain() {
  line_.tags.clear();
  line_.fields.clear();
  line_.timestamp.reset();
  size_t at = FindStop(body_, next_, kMeasurementStop);
  line_.measurement = body_.substr(next_, at - next_);
  if (line_.measurement.empty() || line_.measurement.size() > kMaxNameBytes) return false;
  if (body_[next_] == '#' || body_[next_] == '\r') return false;
  if (!ReadPlainTags(at) || !ReadPlainFields(at) || !ReadPlainEnd(at)) return false;
  begin_ = next_;
  next_ = at;
  return true;
}

bool LineReader::ReadPlainTags(size_t& at) {
  while (at < body_.size() && body_[at] == ',') {
    size_t equals = FindStop(body_, at + 1, kKeyStop);
    if (equals == body_.size() || body_[equals] != '=') return false;
    size_t end = FindStop(body_, equals + 1, kTagValueStop);
    Tag tag{body_.substr(at + 1, equals - at - 1), body_.substr(equals + 1, end - equals - 1)};
    if (tag.key.empty() || tag.value.empty()) return false;
    if (tag.key.size() > kMaxNameBytes || tag.value.size() > kMaxNameBytes) return false;
    line_.tags.push_back(tag);
    at = end;
  }
  if (at == body_.size() || body_[at] != ' ') return false;
  while (at < body_.size() && body_[at] == ' ') ++at;
  return true;
}

// Keys with ',' or '"' are left to the other parser: they change what counts as quoted.
bool LineReader::ReadPlainFields(size_t& at) {
  while (true) {
    size_t equals = FindStop(body_, at, kPlainKeyStop);
    if (equals == at || equals - at > kMaxNameBytes) return false;
    if (equals == body_.size() || body_[equals] != '=') return false;
    Field field;
    field.key = body_.substr(at, equals - at);
    at = equals + 1;
    if (at < body_.size() && body_[at] == '"') {
      if (!ReadPlainString(at, field)) return false;
    } else {
      size_t size = ReadScalar(body_.substr(at), field, fault_);
      if (fault_) fault_.reset(), size = 0;
      if (size == 0) return false;
      at += size;
    }
    line_.fields.push_back(field);
    if (at == body_.size() || body_[at] != ',') return true;
    ++at;
  }
}

bool LineReader::ReadPlainString(size_t& at, Field& field) const {
  size_t close = body_.find('"', at + 1);
  if (close == std::string_view::npos) return false;
  field.type = FieldType::kString;
  field.text = body_.substr(at + 1, close - at - 1);
  at = close + 1;
  return field.text.size() <= kMaxStringBytes && field.text.find('\\') == std::string_view::npos;
}

bool LineReader::ReadPlainEnd(size_t& at) {
  size_t blanks = at;
  while (at < body_.size() && body_[at] == ' ') ++at;
  if (at > blanks) {
    int64_t timestamp = 0;
    size_t size = ReadTimestamp(body_.substr(at), timestamp, fault_);
    if (fault_) fault_.reset(), size = 0;
    if (size > 0) line_.timestamp = timestamp;
    at += size;
  }
  while (at < body_.size() && IsBlank(body_[at])) ++at;
  end_ = at;
  if (at < body_.size() && body_[at] == '\r') ++at;
  if (at == body_.size()) return true;
  return body_[at++] == '\n';
}

// Reads any line, faulty or not; false if it holds nothing but blanks and comments.
bool LineReader::ReadAny() {
  size_t end = FindEnd();
  std::string_view text = body_.substr(next_, end - next_);
  if (text.ends_with('\r')) text.remove_suffix(1);
  size_t content = SkipToContent(text);
  // Blanks before the line are part of what was sent, lines before it are not.
  size_t newline = text.substr(0, content).rfind('\n');
  begin_ = next_ + (newline == std::string_view::npos ? 0 : newline + 1);
  end_ = next_ + text.size();
  next_ = std::min(end + 1, body_.size());
  if (content == text.size()) return false;
  line_.measurement = {};
  fault_ = ParseLine(text.substr(content), scratch_, line_);
  return true;
}

// The newline that ends the line, or the end of the body. A newline does not end a line after a
// backslash, nor within a string. Whether a quote begins a string is judged by counting '=' and ','
// after the first space, as InfluxDB's parsers do, for names may contain either.
size_t LineReader::FindEnd() const {
  bool in_fields = false;
  bool quoted = false;
  size_t equals = 0;
  size_t commas = 0;
  for (size_t i = next_; i < body_.size(); ++i) {
    switch (body_[i]) {
      case '\\':
        ++i;
        break;
      case ' ':
        in_fields = true;
        break;
      case '=':
        if (in_fields && !quoted) ++equals;
        break;
      case ',':
        if (in_fields && !quoted) ++commas;
        break;
      case '"':
        if (in_fields && equals > commas) quoted = !quoted;
        break;
      case '\n':
        if (!quoted) return i;
        break;
      default:
        break;
    }
  }
  return body_.size();
}

}  // namespace sluice::lineprotocol

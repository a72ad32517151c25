#include "server/lineprotocol/line_reader.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "server/lineprotocol/characters.h"
#include "server/lineprotocol/digits.h"
#include "server/lineprotocol/line_parser.h"
#include "server/lineprotocol/number.h"
#include "server/lineprotocol/scan.h"
#include "storage/same_bytes.h"

namespace sluice::lineprotocol {
namespace {

// Bounds on what a body can make a reader remember; other shapes are not predicted.
constexpr size_t kMaxShapes = 1024;
constexpr size_t kMaxShapeFields = 1024;

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

// Reads a line without escapes in names, comments, leading blanks, repeated commas or faults. False
// where it is not of that kind; then line_ has at most the number of its series.
bool LineReader::ReadPlain() {
  unescaped_count_ = 0;
  line_.series = series_.Recognize(body_.substr(next_));
  if (line_.series == kNoNumber) return false;
  size_t at = next_ + series_.text(line_.series).size();
  while (at < body_.size() && body_[at] == ' ') ++at;
  const size_t fields = at;
  line_.shape = series_.shape(line_.series);
  if (line_.shape == kNoNumber || !ReadPredictedFields(at, shapes_[line_.shape])) {
    at = fields;
    if (!ReadPlainFields(at)) return false;
    line_.shape = kNoNumber;
    line_.fields = memory_.fields;
  } else {
    line_.fields = shapes_[line_.shape].fields;
  }
  if (!ReadPlainEnd(at)) return false;
  line_.table = series_.measurement(line_.series);
  line_.tags = series_.tags(line_.series);
  line_.tag_keys = series_.tag_keys(line_.series);
  if (line_.shape == kNoNumber) line_.shape = NumberShape();
  if (line_.shape != kNoNumber) series_.set_shape(line_.series, line_.shape);
  begin_ = next_;
  next_ = at;
  return true;
}

bool LineReader::ReadPredictedFields(size_t& at, Shape& shape) {
  for (Field& field : shape.fields) {
    const size_t key_size = field.key.size();
    // Room for the key, '=' and the digits of a number.
    if (body_.size() - at < key_size + 2 + 2 * kDigitsRoom) return false;
    const char* text = body_.data() + at;
    if (!storage::SameBytes(text, field.key.data(), key_size) || text[key_size] != '=')
      return false;
    at += key_size + 1;
    if (!ReadPredictedValue(at, field)) return false;
    const bool last = &field == &shape.fields.back();
    if ((at < body_.size() && body_[at] == ',') == last) return false;
    if (!last) ++at;
  }
  return true;
}

// Reads a value of the type that the field has. False where there is none.
bool LineReader::ReadPredictedValue(size_t& at, Field& field) {
  const char* text = body_.data() + at;
  const size_t sign = *text == '-' ? 1 : 0;
  switch (field.type) {
    case FieldType::kInteger:
    case FieldType::kUnsigned: {
      const bool is_signed = field.type == FieldType::kInteger;
      const Digits digits = ReadDigits(text + sign);
      const bool fits = digits.count > 0 && digits.count < kMaxDigits;
      if (!fits || text[sign + digits.count] != (is_signed ? 'i' : 'u')) return false;
      if (sign != 0 && !is_signed) return false;
      const int64_t value = static_cast<int64_t>(digits.value);
      field.bits = sign != 0 ? -value : value;
      at += sign + digits.count + 1;
      return true;
    }
    case FieldType::kString:
      return *text == '"' && ReadPlainString(at, field);
    case FieldType::kFloat:
    case FieldType::kBoolean: {
      const FieldType type = field.type;
      const size_t size = ReadScalar(body_.substr(at), field, fault_);
      if (fault_ || size == 0 || field.type != type) {
        fault_.reset();
        field.type = type;
        return false;
      }
      at += size;
      return true;
    }
  }
  return false;
}

// Keys with ',' or '"' are left to the other parser: they change what counts as quoted.
bool LineReader::ReadPlainFields(size_t& at) {
  memory_.fields.clear();
  while (true) {
    size_t equals = FindStop(body_, at, kPlainKeyStop);
    if (equals == at) return false;
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
    memory_.fields.push_back(field);
    if (at == body_.size() || body_[at] != ',') return true;
    ++at;
  }
}

bool LineReader::ReadPlainString(size_t& at, Field& field) {
  const size_t begin = at + 1;
  size_t end = begin;
  bool escaped = false;
  while (true) {
    end += FindQuote(body_.substr(end));
    if (end == body_.size()) return false;
    if (body_[end] == '"') break;
    const bool escape = end + 1 < body_.size() && (body_[end + 1] == '"' || body_[end + 1] == '\\');
    escaped |= escape;
    end += escape ? 2 : 1;
  }
  field.type = FieldType::kString;
  field.text = body_.substr(begin, end - begin);
  if (escaped) field.text = Unescape(field.text);
  at = end + 1;
  return true;
}

std::string_view LineReader::Unescape(std::string_view text) {
  if (unescaped_count_ == unescaped_.size()) unescaped_.emplace_back();
  std::string& plain = unescaped_[unescaped_count_++];
  plain.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '\\' && (text[i + 1] == '"' || text[i + 1] == '\\');
    if (escape) ++i;
    plain.push_back(text[i]);
  }
  return plain;
}

bool LineReader::ReadPlainEnd(size_t& at) {
  size_t blanks = at;
  line_.timestamp.reset();
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

// The number of the shape that memory_ has, which is remembered if it is new.
uint32_t LineReader::NumberShape() {
  const std::vector<Field>& fields = memory_.fields;
  uint64_t hash = fields.size();
  for (const Field& field : fields) {
    hash = XXH3_64bits_withSeed(field.key.data(), field.key.size(),
                                hash + static_cast<uint64_t>(field.type));
  }
  auto same = [](const Field& a, const Field& b) { return a.key == b.key && a.type == b.type; };
  auto found = shape_numbers_.find(hash);
  if (found != shape_numbers_.end()) {
    const std::vector<Field>& known = shapes_[found->second].fields;
    bool equal = std::equal(known.begin(), known.end(), fields.begin(), fields.end(), same);
    return equal ? found->second : kNoNumber;
  }
  if (shapes_.size() == kMaxShapes || fields.size() > kMaxShapeFields) return kNoNumber;
  const uint32_t number = static_cast<uint32_t>(shapes_.size());
  shapes_.push_back({fields});
  shape_numbers_.emplace(hash, number);
  return number;
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
  const uint32_t series = line_.series;
  fault_ = ParseLine(text.substr(content), memory_, line_);
  if (!fault_) line_.series = series;
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

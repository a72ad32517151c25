#include "server/lineprotocol/line_parser.h"

#include "server/lineprotocol/characters.h"
#include "server/lineprotocol/number.h"

namespace sluice::lineprotocol {
namespace {

// Reads a line from left to right. A Read… function returns false where what it reads is not there,
// and leaves the position as it was, or where it is there and faulty: then there is a fault.
class Parser {
 public:
  Parser(std::string_view text, LineMemory& memory, Line& line)
      : text_(text), memory_(memory), scratch_(memory.text), line_(line) {}

  std::optional<SyntaxFault> Parse() {
    line_ = Line();
    memory_.tags.clear();
    memory_.fields.clear();
    scratch_.clear();
    // Names that point into it must stay where they are.
    scratch_.reserve(text_.size());
    if (ReadSeries() && ReadSpaces() && ReadFields() && ReadTime()) ReadEnd();
    line_.tags = memory_.tags;
    line_.fields = memory_.fields;
    return fault_ ? fault_ : infinite_;
  }

 private:
  bool Fail(SyntaxError error, std::string_view context = {}) {
    fault_ = SyntaxFault{error, context};
    return false;
  }
  std::string_view rest() const { return text_.substr(at_); }
  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool Take(char c) {
    if (!At(c)) return false;
    ++at_;
    return true;
  }

  bool ReadSeries() {
    if (!ReadName(kMeasurementStop, ", \\", line_.table)) {
      return fault_ ? false : Fail(SyntaxError::kInvalidMeasurement);
    }
    if (!At(',')) return true;
    std::string_view tag_set = text_.substr(at_ + 1);
    while (Take(',')) {
      if (!ReadTag(tag_set)) return false;
    }
    return true;
  }

  bool ReadTag(std::string_view tag_set) {
    Tag tag;
    if (!ReadName(kKeyStop, ",= \\", tag.key)) {
      return fault_ ? false : Fail(SyntaxError::kExpectedTagKey, rest());
    }
    if (!Take('=')) return Fail(SyntaxError::kNoEqualsSign, tag_set);
    if (!ReadName(kTagValueStop, ",= \\", tag.value)) {
      return fault_ ? false : Fail(SyntaxError::kExpectedTagValue, rest());
    }
    memory_.tags.push_back(tag);
    return true;
  }

  bool ReadSpaces() {
    if (!At(' ')) return Fail(SyntaxError::kExpectedSpace, rest());
    while (Take(' ')) {
    }
    return true;
  }

  bool ReadFields() {
    if (!ReadField()) return fault_ ? false : Fail(SyntaxError::kNoFields);
    // The comma after the first field is taken whether or not a field follows; later ones are not.
    if (!Take(',') || !ReadField()) return !fault_;
    for (size_t comma = at_; Take(','); comma = at_) {
      if (ReadField()) continue;
      at_ = comma;
      break;
    }
    return !fault_;
  }

  bool ReadField() {
    size_t begin = at_;
    Field field;
    if (ReadName(kKeyStop, ",= \\", field.key) && Take('=') && ReadValue(field)) {
      memory_.fields.push_back(field);
      return true;
    }
    at_ = begin;
    return false;
  }

  bool ReadValue(Field& field) {
    if (At('"')) return ReadString(field);
    size_t size = ReadScalar(rest(), field, fault_);
    at_ += size;
    if (fault_ && fault_->error == SyntaxError::kFloatOutOfRange) {
      if (!infinite_) infinite_ = fault_;
      fault_.reset();
    }
    return size > 0 && !fault_;
  }

  bool ReadString(Field& field) {
    size_t begin = at_ + 1;
    size_t end = begin;
    bool escaped = false;
    while (end < text_.size() && text_[end] != '"') {
      bool escape = IsStringEscape(end);
      escaped |= escape;
      end += escape ? 2 : 1;
    }
    if (end >= text_.size()) return false;
    field.type = FieldType::kString;
    field.text = text_.substr(begin, end - begin);
    if (escaped) field.text = UnescapeString(begin, end);
    at_ = end + 1;
    return true;
  }

  bool IsStringEscape(size_t i) const {
    return text_[i] == '\\' && i + 1 < text_.size() &&
           (text_[i + 1] == '"' || text_[i + 1] == '\\');
  }

  std::string_view UnescapeString(size_t begin, size_t end) {
    size_t first = scratch_.size();
    for (size_t i = begin; i < end; ++i) {
      if (IsStringEscape(i)) ++i;
      scratch_.push_back(text_[i]);
    }
    return std::string_view(scratch_).substr(first);
  }

  // A measurement, key or tag value, of at least one character.
  bool ReadName(Stop stop, std::string_view escapable, std::string_view& name) {
    size_t begin = at_;
    at_ = FindStop(text_, begin, stop);
    name = text_.substr(begin, at_ - begin);
    if (At('\\')) name = UnescapeName(begin, stop, escapable);
    if (name.empty()) return false;
    if (name.back() == '\\') return Fail(SyntaxError::kEndsWithBackslash);
    return true;
  }

  std::string_view UnescapeName(size_t begin, Stop stop, std::string_view escapable) {
    size_t first = scratch_.size();
    scratch_.append(text_.substr(begin, at_ - begin));
    while (Take('\\')) {
      bool escape = at_ < text_.size() && escapable.find(text_[at_]) != std::string_view::npos;
      if (!escape) scratch_.push_back('\\');
      // Whatever follows a backslash is part of the name.
      if (at_ < text_.size()) scratch_.push_back(text_[at_++]);
      size_t plain = at_;
      at_ = FindStop(text_, plain, stop);
      scratch_.append(text_.substr(plain, at_ - plain));
    }
    return std::string_view(scratch_).substr(first);
  }

  bool ReadTime() {
    size_t begin = at_;
    while (Take(' ')) {
    }
    int64_t timestamp = 0;
    size_t size = at_ > begin ? ReadTimestamp(rest(), timestamp, fault_) : 0;
    if (fault_) return false;
    if (size == 0) {
      at_ = begin;
      return true;
    }
    at_ += size;
    line_.timestamp = timestamp;
    while (Take(' ')) {
    }
    return true;
  }

  void ReadEnd() {
    bool blank = rest().find_first_not_of(" \t") == std::string_view::npos;
    if (!blank) Fail(SyntaxError::kTrailingContent, rest());
  }

  std::string_view text_;
  LineMemory& memory_;
  // Where unescaped texts go.
  std::string& scratch_;
  Line& line_;
  size_t at_ = 0;
  std::optional<SyntaxFault> fault_;
  // The first float that overflows: well-formed, so every other fault goes before it.
  std::optional<SyntaxFault> infinite_;
};

}  // namespace

std::optional<SyntaxFault> ParseLine(std::string_view text, LineMemory& memory, Line& line) {
  return Parser(text, memory, line).Parse();
}

}  // namespace sluice::lineprotocol

#include "server/influx/result_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"

namespace sluice::influx {
namespace {

using query::Row;
using query::Value;

std::string Quote(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// The shortest text that reads as the same number, and as one with a fraction.
std::string FormatFloat(double number) {
  std::string text = fmt::format("{}", number);
  return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

std::string Hex(std::string_view bytes) {
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

// As JSON has it. What JSON cannot say is null; bytes are text of hex digits.
struct JsonText {
  std::string operator()(std::monostate) const { return "null"; }
  std::string operator()(double v) const { return std::isfinite(v) ? FormatFloat(v) : "null"; }
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(uint64_t v) const { return std::to_string(v); }
  std::string operator()(std::string_view v) const { return Quote(v); }
  std::string operator()(bool v) const { return v ? "true" : "false"; }
  std::string operator()(query::Blob v) const { return Quote(Hex(v.bytes)); }
};

// Whether JSON has the text as it is.
bool NeedsNoEscape(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c < 127 && c != '"' && c != '\\'; });
}

// Appends a value as JSON has it, most of them without a string of their own.
struct AppendJson {
  std::string& out;

  void operator()(std::string_view v) const {
    if (!NeedsNoEscape(v)) {
      out += Quote(v);
      return;
    }
    out += '"';
    out += v;
    out += '"';
  }
  void operator()(int64_t v) const {
    const fmt::format_int text(v);
    out.append(text.data(), text.size());
  }
  template <typename T>
  void operator()(T v) const {
    out += JsonText()(v);
  }
};

struct PlainText {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(double v) const { return FormatFloat(v); }
  std::string operator()(std::string_view v) const { return std::string(v); }
  std::string operator()(query::Blob v) const { return Hex(v.bytes); }
  template <typename T>
  std::string operator()(T v) const {
    return JsonText()(v);
  }
};

class JsonFormat : public ResultFormat {
 public:
  explicit JsonFormat(bool lines) : lines_(lines) {}

  std::string_view content_type() const override {
    return lines_ ? "application/jsonl" : "application/json";
  }
  void PutColumns(const std::vector<query::Column>& columns, std::string& out) override {
    for (const query::Column& column : columns) names_.push_back(Quote(column.name) + ':');
    if (!lines_) out += '[';
  }
  void PutRow(const Row& row, std::string& out) override {
    if (!lines_ && !first_) out += ',';
    first_ = false;
    out += '{';
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) out += ',';
      out += names_[i];
      std::visit(AppendJson{out}, row[i]);
    }
    out += lines_ ? "}\n" : "}";
  }
  void PutEnd(std::string& out) override {
    if (!lines_) out += ']';
  }

 private:
  const bool lines_;
  bool first_ = true;
  // With the colon behind.
  std::vector<std::string> names_;
};

class CsvFormat : public ResultFormat {
 public:
  std::string_view content_type() const override { return "text/csv; charset=utf-8"; }
  void PutColumns(const std::vector<query::Column>& columns, std::string& out) override {
    for (const query::Column& column : columns) PutField(column.name, out);
    EndLine(out);
  }
  void PutRow(const Row& row, std::string& out) override {
    for (const Value& value : row) PutField(std::visit(PlainText(), value), out);
    EndLine(out);
  }
  void PutEnd(std::string&) override {}

 private:
  void PutField(std::string_view text, std::string& out) {
    if (!first_) out += ',';
    first_ = false;
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
      out += text;
      return;
    }
    out += '"';
    for (char c : text) {
      out += c;
      if (c == '"') out += c;
    }
    out += '"';
  }
  void EndLine(std::string& out) {
    out += "\r\n";
    first_ = true;
  }

  bool first_ = true;
};

class PrettyFormat : public ResultFormat {
 public:
  std::string_view content_type() const override { return "text/plain; charset=utf-8"; }
  void PutColumns(const std::vector<query::Column>& columns, std::string&) override {
    waiting_.emplace_back();
    for (const query::Column& column : columns) waiting_.front().push_back(column.name);
  }
  void PutRow(const Row& row, std::string& out) override {
    std::vector<std::string> cells;
    for (const Value& value : row) cells.push_back(std::visit(PlainText(), value));
    if (!widths_.empty()) return PutLine(cells, out);
    for (const std::string& cell : cells) waiting_bytes_ += cell.size();
    waiting_.push_back(std::move(cells));
    if (waiting_.size() > kRowsToMeasure || waiting_bytes_ > kBytesToMeasure) Measure(out);
  }
  void PutEnd(std::string& out) override {
    if (widths_.empty()) Measure(out);
    PutRule(out);
  }

 private:
  static constexpr size_t kRowsToMeasure = 1000;
  static constexpr size_t kBytesToMeasure = size_t{1} << 20;
  static constexpr size_t kMaxWidth = 200;
  static constexpr size_t kMaxLineWidth = size_t{16} << 10;

  // Characters, not bytes.
  static size_t Width(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
      return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    }));
  }
  void Measure(std::string& out) {
    widths_.resize(waiting_.front().size());
    for (const auto& cells : waiting_) {
      for (size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], Width(cells[i]));
    }
    // One very long value makes its own line long, and not that of every other row.
    const size_t most =
        std::clamp(kMaxLineWidth / std::max<size_t>(1, widths_.size()), size_t{8}, kMaxWidth);
    for (size_t& width : widths_) width = std::min(width, most);
    PutRule(out);
    for (size_t i = 0; i < waiting_.size(); ++i) {
      PutLine(waiting_[i], out);
      if (i == 0) PutRule(out);
    }
    waiting_.clear();
  }
  void PutRule(std::string& out) const {
    for (size_t width : widths_) out += '+' + std::string(width + 2, '-');
    out += "+\n";
  }
  void PutLine(const std::vector<std::string>& cells, std::string& out) const {
    for (size_t i = 0; i < cells.size(); ++i) {
      size_t width = Width(cells[i]);
      out += "| " + cells[i] + std::string(widths_[i] > width ? widths_[i] - width : 0, ' ') + " ";
    }
    out += "|\n";
  }

  std::vector<std::vector<std::string>> waiting_;
  size_t waiting_bytes_ = 0;
  std::vector<size_t> widths_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ResultFormat>> ResultFormat::Create(std::string_view name) {
  if (name.empty() || name == "json") return std::make_unique<JsonFormat>(false);
  if (name == "jsonl") return std::make_unique<JsonFormat>(true);
  if (name == "csv") return std::make_unique<CsvFormat>();
  if (name == "pretty") return std::make_unique<PrettyFormat>();
  return absl::InvalidArgumentError(
      fmt::format("unknown format '{}'; use json, jsonl, csv or pretty", name));
}

}  // namespace sluice::influx

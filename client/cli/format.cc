#include "client/cli/format.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "client/cli/print.h"

namespace sluice::client {
namespace {

constexpr size_t kMeasuredRows = 1000;

// Characters, as far as UTF-8 tells.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::vector<std::string> NamesOf(const std::vector<Column>& columns) {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

std::vector<std::string> TextsOf(const std::vector<Value>& row, const char* null) {
  std::vector<std::string> texts;
  for (const Value& value : row) {
    texts.push_back(std::holds_alternative<std::monostate>(value) ? null : ToText(value));
  }
  return texts;
}

class TablePrinter : public RowPrinter {
 public:
  void Columns(const std::vector<Column>& columns) override {
    rows_.push_back(NamesOf(columns));
    for (const Column& column : columns) {
      are_numbers_.push_back(column.type == "float" || column.type == "integer" ||
                             column.type == "unsigned");
    }
  }
  void Row(const std::vector<Value>& row) override {
    rows_.push_back(TextsOf(row, "NULL"));
    ++count_;
    if (!widths_.empty() || rows_.size() > kMeasuredRows) Flush();
  }
  void End() override {
    Flush();
    Print(fmt::format("({} row{})", count_, count_ == 1 ? "" : "s"));
  }

 private:
  void Flush() {
    const bool is_first = widths_.empty();
    for (size_t i = 0; is_first && i < are_numbers_.size(); ++i) {
      size_t width = 0;
      for (const auto& row : rows_) width = std::max(width, WidthOf(row[i]));
      widths_.push_back(width);
    }
    for (size_t i = 0; i < rows_.size(); ++i) {
      PrintRow(rows_[i]);
      if (is_first && i == 0) PrintRule();
    }
    rows_.clear();
  }
  void PrintRow(const std::vector<std::string>& row) const {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      const size_t width = WidthOf(row[i]);
      const std::string space(widths_[i] > width ? widths_[i] - width : 0, ' ');
      line += are_numbers_[i] ? space + row[i] : row[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    Print(line);
  }
  void PrintRule() const {
    std::vector<std::string> rules;
    for (size_t width : widths_) rules.emplace_back(width, '-');
    PrintRow(rules);
  }

  std::vector<bool> are_numbers_;
  std::vector<size_t> widths_;
  // Not printed yet.
  std::vector<std::vector<std::string>> rows_;
  int64_t count_ = 0;
};

class TsvPrinter : public RowPrinter {
 public:
  void Columns(const std::vector<Column>& columns) override {
    Print(fmt::format("{}", fmt::join(NamesOf(columns), "\t")));
  }
  void Row(const std::vector<Value>& row) override {
    Print(fmt::format("{}", fmt::join(TextsOf(row, "NULL"), "\t")));
  }
  void End() override {}
};

class CsvPrinter : public RowPrinter {
 public:
  void Columns(const std::vector<Column>& columns) override {
    std::vector<std::string> texts = NamesOf(columns);
    for (std::string& text : texts) text = Quoted(text);
    Print(fmt::format("{}", fmt::join(texts, ",")));
  }
  // NULL is nothing, and a text that is empty two quotes.
  void Row(const std::vector<Value>& row) override {
    std::vector<std::string> texts = TextsOf(row, "");
    for (size_t i = 0; i < texts.size(); ++i) {
      const bool is_null = std::holds_alternative<std::monostate>(row[i]);
      texts[i] = texts[i].empty() && !is_null ? "\"\"" : Quoted(texts[i]);
    }
    Print(fmt::format("{}", fmt::join(texts, ",")));
  }
  void End() override {}

 private:
  static std::string Quoted(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
    std::string quoted = "\"";
    for (char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
    return quoted + '"';
  }
};

struct ToJson {
  nlohmann::ordered_json operator()(std::monostate) const { return nullptr; }
  nlohmann::ordered_json operator()(const Bytes& value) const { return ToText(value); }
  template <typename T>
  nlohmann::ordered_json operator()(const T& value) const {
    return value;
  }
};

class JsonPrinter : public RowPrinter {
 public:
  explicit JsonPrinter(bool is_array) : is_array_(is_array) {}
  void Columns(const std::vector<Column>& columns) override { names_ = NamesOf(columns); }
  void Row(const std::vector<Value>& row) override {
    nlohmann::ordered_json object = nlohmann::ordered_json::object();
    for (size_t i = 0; i < row.size() && i < names_.size(); ++i) {
      if (!std::holds_alternative<std::monostate>(row[i])) {
        object[names_[i]] = std::visit(ToJson(), row[i]);
      }
    }
    const std::string text =
        object.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    if (!is_array_) return Print(text);
    if (has_rows_) Print(before_ + ",");
    if (!has_rows_) Print("[");
    has_rows_ = true;
    before_ = text;
  }
  void End() override {
    if (!is_array_) return;
    if (has_rows_) Print(before_);
    Print(has_rows_ ? "]" : "[]");
  }

 private:
  const bool is_array_;
  std::vector<std::string> names_;
  // Printed when it is known whether another one follows.
  std::string before_;
  bool has_rows_ = false;
};

}  // namespace

std::unique_ptr<RowPrinter> RowPrinter::Make(const std::string& format) {
  if (format == "table") return std::make_unique<TablePrinter>();
  if (format == "tsv") return std::make_unique<TsvPrinter>();
  if (format == "csv") return std::make_unique<CsvPrinter>();
  if (format == "json") return std::make_unique<JsonPrinter>(true);
  if (format == "jsonl") return std::make_unique<JsonPrinter>(false);
  return nullptr;
}

}  // namespace sluice::client

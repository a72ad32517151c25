#include "server/ingest/table_builder.h"

#include <memory>

namespace sluice::ingest {

using storage::ColumnType;
using storage::TableSchema;

ColumnType TypeOf(FieldType type) {
  switch (type) {
    case FieldType::kFloat:
      return ColumnType::kFloat;
    case FieldType::kInteger:
      return ColumnType::kInteger;
    case FieldType::kUnsigned:
      return ColumnType::kUnsigned;
    case FieldType::kString:
      return ColumnType::kString;
    case FieldType::kBoolean:
      return ColumnType::kBoolean;
  }
  return ColumnType::kFloat;
}

void TableBuilder::Widen(std::span<const NewColumn> columns) {
  if (columns.empty()) return;
  // A schema that somebody may hold is replaced, never changed.
  auto wider = std::make_shared<TableSchema>(*schema());
  for (const NewColumn& column : columns) wider->Add(column.name, column.type);
  batch_.set_table(std::move(wider));
}

uint32_t TableBuilder::AddSet(std::span<const Tag> tags, const Places& columns) {
  const uint32_t set = batch_.AddSet();
  for (size_t i = 0; i < tags.size(); ++i) {
    if (columns[i] != kDropped) batch_.AddTag(columns[i], tags[i].value);
  }
  return set;
}

void TableBuilder::AddRow(uint32_t set, int64_t time_ns, std::span<const Field> fields,
                          const Places& columns) {
  batch_.AddRow(set, time_ns);
  for (size_t i = 0; i < fields.size(); ++i) {
    if (columns[i] == kDropped) continue;
    if (fields[i].type == FieldType::kString) {
      batch_.AddString(columns[i], fields[i].text);
    } else {
      batch_.AddNumber(columns[i], fields[i].bits);
    }
  }
}

void TableBuilder::AddRows(const ColumnSets& sets, std::span<const int64_t> times_ns) {
  first_set_ = batch_.AddSets(static_cast<uint32_t>(sets.sets().size()));
  std::vector<int64_t> row_sets = sets.row_sets();
  for (int64_t& set : row_sets) set += first_set_;
  first_row_ = batch_.AddRows(row_sets, times_ns);
}

void TableBuilder::AddTags(const TagColumn& tag, const ColumnSets& sets, size_t column) {
  std::vector<uint32_t> values;
  values.reserve(sets.sets().size());
  for (uint32_t set : sets.sets()) values.push_back(tag.value(set));
  batch_.column(column).AddTags(first_set_, tag.texts, values);
}

void TableBuilder::AddFields(const FieldColumn& field, size_t column) {
  storage::BatchColumn& to = batch_.column(column);
  switch (field.type) {
    case FieldType::kString:
      return to.AddStrings(first_row_, field.present, field.texts, field.text_numbers);
    case FieldType::kBoolean:
      return to.AddBooleans(first_row_, field.present, field.count, field.booleans);
    case FieldType::kFloat:
    case FieldType::kInteger:
    case FieldType::kUnsigned:
      return to.AddNumbers(first_row_, field.present, field.numbers);
  }
}

}  // namespace sluice::ingest

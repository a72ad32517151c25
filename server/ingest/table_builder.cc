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

}  // namespace sluice::ingest

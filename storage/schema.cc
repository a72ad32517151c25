#include "storage/schema.h"

#include <algorithm>

#include "storage/bytes.h"

// The stored form of a table's schema:
//
//   table  := version:byte(1) id:varint name:bytes column_count:varint column{column_count}
//   column := name:bytes type:byte

namespace sluice::storage {
namespace {

constexpr uint8_t kTableVersion = 1;

absl::string_view Key(std::string_view name) { return {name.data(), name.size()}; }

}  // namespace

bool IsColumnType(uint8_t byte) {
  return byte >= static_cast<uint8_t>(ColumnType::kTag) &&
         byte <= static_cast<uint8_t>(ColumnType::kBoolean);
}

std::string_view Name(ColumnType type) {
  switch (type) {
    case ColumnType::kTag:
      return "tag";
    case ColumnType::kFloat:
      return "float";
    case ColumnType::kInteger:
      return "integer";
    case ColumnType::kUnsigned:
      return "unsigned";
    case ColumnType::kString:
      return "string";
    case ColumnType::kBoolean:
      return "boolean";
  }
  return "";
}

absl::StatusOr<TableSchema> TableSchema::Decode(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Byte() != kTableVersion) return absl::DataLossError("unknown version of a schema");
  uint32_t id = static_cast<uint32_t>(reader.Varint());
  TableSchema table(id, std::string(reader.Bytes()));
  for (uint64_t left = reader.Varint(); left > 0 && reader.ok(); --left) {
    std::string_view name = reader.Bytes();
    uint8_t type = reader.Byte();
    if (!IsColumnType(type) || table.Find(name)) return absl::DataLossError("damaged schema");
    table.Add(name, static_cast<ColumnType>(type));
  }
  if (!reader.ok() || !reader.empty()) return absl::DataLossError("damaged schema");
  return table;
}

std::string TableSchema::Encode() const {
  std::string out;
  PutByte(out, kTableVersion);
  PutVarint(out, id_);
  PutBytes(out, name_);
  PutVarint(out, columns_.size());
  for (const Column& column : columns_) {
    PutBytes(out, column.name);
    PutByte(out, static_cast<uint8_t>(column.type));
  }
  return out;
}

TableSchema TableSchema::WithId(uint32_t id) const {
  TableSchema table = *this;
  table.id_ = id;
  return table;
}

std::optional<size_t> TableSchema::Find(std::string_view name) const {
  auto found = positions_.find(Key(name));
  if (found == positions_.end()) return std::nullopt;
  return found->second;
}

size_t TableSchema::Add(std::string_view name, ColumnType type) {
  positions_.emplace(name, columns_.size());
  columns_.push_back({std::string(name), type});
  return columns_.size() - 1;
}

std::vector<TablePtr> DatabaseSchema::Tables() const {
  std::vector<TablePtr> tables;
  tables.reserve(tables_.size());
  for (const auto& [name, table] : tables_) tables.push_back(table);
  std::sort(tables.begin(), tables.end(),
            [](const TablePtr& a, const TablePtr& b) { return a->name() < b->name(); });
  return tables;
}

TablePtr DatabaseSchema::Find(std::string_view name) const {
  auto found = tables_.find(Key(name));
  return found == tables_.end() ? nullptr : found->second;
}

TablePtr DatabaseSchema::FindById(uint32_t id) const {
  for (const auto& [name, table] : tables_) {
    if (table->id() == id) return table;
  }
  return nullptr;
}

DatabaseSchema DatabaseSchema::With(const std::vector<TablePtr>& tables) const {
  DatabaseSchema next = *this;
  ++next.mark_;
  for (const TablePtr& table : tables) {
    next.tables_[table->name()] = table;
    next.next_table_id_ = std::max(next.next_table_id_, table->id() + 1);
  }
  return next;
}

}  // namespace sluice::storage

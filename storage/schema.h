#ifndef SLUICE_STORAGE_SCHEMA_H_
#define SLUICE_STORAGE_SCHEMA_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace sluice::storage {

// What a column holds, for good (contract W-60). The numbers are part of the stored format.
enum class ColumnType : uint8_t {
  kTag = 1,
  kFloat = 2,
  kInteger = 3,
  kUnsigned = 4,
  kString = 5,
  kBoolean = 6,
};

// Whether a stored byte is one of these.
bool IsColumnType(uint8_t byte);

// "tag", "float", "integer", "unsigned", "string" or "boolean".
std::string_view Name(ColumnType type);

struct Column {
  std::string name;
  ColumnType type;

  friend bool operator==(const Column&, const Column&) = default;
};

// A table's columns. A column is known by its position, which never changes: columns are only
// added, at the end. The timestamp, which every table has, is not among them.
class TableSchema {
 public:
  // Of a table that no store has given one.
  static constexpr uint32_t kNoId = 0;

  TableSchema(uint32_t id, std::string name) : id_(id), name_(std::move(name)) {}

  // The stored form, see schema.cc. DataLoss where `bytes` is not one.
  static absl::StatusOr<TableSchema> Decode(std::string_view bytes);
  std::string Encode() const;

  uint32_t id() const { return id_; }
  const std::string& name() const { return name_; }
  const std::vector<Column>& columns() const { return columns_; }

  // The same table under another id.
  TableSchema WithId(uint32_t id) const;

  // The position of the column called `name`.
  std::optional<size_t> Find(std::string_view name) const;
  // Adds a column, which must not exist, and returns its position.
  size_t Add(std::string_view name, ColumnType type);

 private:
  uint32_t id_;
  std::string name_;
  std::vector<Column> columns_;
  absl::flat_hash_map<std::string, size_t> positions_;
};

using TablePtr = std::shared_ptr<const TableSchema>;

// All tables of a database at one moment. Immutable once shared; every change makes a new one.
class DatabaseSchema {
 public:
  // By it a store knows again which of its schemas this is, and nobody else.
  uint64_t mark() const { return mark_; }
  // By name, ascending.
  std::vector<TablePtr> Tables() const;
  // Null where there is no such table.
  TablePtr Find(std::string_view name) const;
  TablePtr FindById(uint32_t id) const;
  size_t table_count() const { return tables_.size(); }
  // For a store: the id for the next new table.
  uint32_t next_table_id() const { return next_table_id_; }

  // This schema with `tables` put in, each in place of the one with its name.
  DatabaseSchema With(const std::vector<TablePtr>& tables) const;

 private:
  uint64_t mark_ = 0;
  uint32_t next_table_id_ = 1;
  absl::flat_hash_map<std::string, TablePtr> tables_;
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_SCHEMA_H_

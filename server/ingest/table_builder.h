#ifndef SLUICE_SERVER_INGEST_TABLE_BUILDER_H_
#define SLUICE_SERVER_INGEST_TABLE_BUILDER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/ingest/column_sets.h"
#include "server/ingest/point.h"
#include "server/ingest/point_columns.h"
#include "storage/batch.h"

namespace sluice::ingest {

// For the tags or fields of a point, in their order: the columns that they go to; kDropped for one
// that is left out.
using Places = std::vector<size_t>;
inline constexpr size_t kDropped = ~size_t{0};

storage::ColumnType TypeOf(FieldType type);

// The points of one request in one table, column by column. Takes what has been judged, and cannot
// fail. For one thread.
class TableBuilder {
 public:
  explicit TableBuilder(storage::TablePtr schema) : batch_(std::move(schema)) {}

  const storage::TablePtr& schema() const { return batch_.table(); }
  bool empty() const { return batch_.row_count() == 0; }
  storage::TableBatch&& Take() { return std::move(batch_); }

  struct NewColumn {
    std::string_view name;
    storage::ColumnType type;
  };
  // Adds columns behind those that there are.
  void Widen(std::span<const NewColumn> columns);

  // Returns the set's number.
  uint32_t AddSet(std::span<const Tag> tags, const Places& columns);
  void AddRow(uint32_t set, int64_t time_ns, std::span<const Field> fields, const Places& columns);

  // Adds the rows of many points, and their sets; then the values of each of their columns.
  void AddRows(const ColumnSets& sets, std::span<const int64_t> times_ns);
  void AddTags(const TagColumn& tag, const ColumnSets& sets, size_t column);
  void AddFields(const FieldColumn& field, size_t column);

 private:
  // Of what AddRows added last.
  uint32_t first_set_ = 0;
  size_t first_row_ = 0;
  storage::TableBatch batch_;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_TABLE_BUILDER_H_

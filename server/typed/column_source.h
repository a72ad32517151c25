#ifndef SLUICE_SERVER_TYPED_COLUMN_SOURCE_H_
#define SLUICE_SERVER_TYPED_COLUMN_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/ingest/point.h"
#include "server/ingest/point_columns.h"
#include "server/typed/wire_reader.h"

namespace sluice::typed {

// One sluice.v1.TableBatch (points.proto), with every length and number checked against every
// other.
class TableReader {
 public:
  // What it takes in memory to read that one, roughly: a text of no bytes takes sixteen.
  static size_t BytesToRead(std::string_view message);

  // `path` is that of the table, such as `columns.tables[2]`. An error, with the path of what is
  // wrong, is the whole request's (contract W-81).
  absl::Status Read(std::string_view message, const std::string& path);

  // What was read last; refers to `message` and to this.
  const ingest::PointColumns& columns() const { return columns_; }

 private:
  struct Tag {
    ingest::TagColumn column;
    std::vector<std::string_view> texts;
    FixedList<uint32_t> values;
  };
  struct Field {
    // Which of the alternatives of `values` it has; 0 for none.
    uint32_t kind = 0;
    ingest::FieldColumn column;
    std::string_view validity;
    FixedList<int64_t> numbers;
    std::vector<int64_t> compact;
    std::vector<std::string_view> texts;
    FixedList<uint32_t> indexes;
    uint64_t boolean_count = 0;
    std::string_view bits;
  };

  bool ReadFields(std::string_view message);
  static bool ReadTag(std::string_view message, Tag& tag);
  static bool ReadField(std::string_view message, Field& field);
  static bool ReadValues(const WireField& values, Field& field);
  absl::Status CheckSets(const std::string& path) const;
  absl::Status CheckTag(Tag& tag, const std::string& path) const;
  absl::Status CheckField(Field& field, const std::string& path) const;
  absl::Status CheckValues(Field& field, const std::string& path) const;

  ingest::PointColumns columns_;
  uint64_t rows_ = 0;
  uint64_t sets_ = 0;
  FixedList<int64_t> timestamps_;
  FixedList<uint32_t> row_sets_;
  std::vector<Tag> tags_;
  std::vector<Field> fields_;
  std::vector<ingest::TagColumn> tag_columns_;
  std::vector<ingest::FieldColumn> field_columns_;
};

// The points of a serialized sluice.v1.ColumnBatch, a table at a time, or point by point.
class ColumnSource : public ingest::PointSource {
 public:
  // `batch` must outlive it.
  explicit ColumnSource(std::string_view batch) : batch_(batch) {}

  absl::Status Rewind() override;
  Item Next() override;
  size_t columns_bytes() const override { return TableReader::BytesToRead(message_); }
  absl::Status ReadColumns() override;
  const ingest::PointColumns* columns() const override { return &table_.columns(); }
  void SplitColumns() override;
  const ingest::Point& point() const override { return point_; }
  absl::Status error() const override { return error_; }
  // Every point can be read, or none.
  ingest::Objection fault() const override { return {}; }
  std::optional<ingest::Place::Line> line() override { return std::nullopt; }
  std::string_view text() const override { return {}; }
  size_t bytes() const override { return batch_.size(); }
  bool is_utf8() const override { return false; }
  // A bit can be a row, and a row have many tags.
  bool is_quick() const override { return batch_.size() <= 1024; }
  std::string_view no_points() const override { return "no points: the columns have no rows"; }

 private:
  void ReadRow();

  const std::string_view batch_;
  WireReader reader_{batch_};
  absl::Status error_;
  // The table that it is at, and the number of the one after.
  std::string_view message_;
  size_t next_table_ = 0;
  size_t points_ = 0;
  TableReader table_;

  // While it goes point by point: the next row, and of each field the next value.
  bool split_ = false;
  size_t row_ = 0;
  // The set whose tags were read last, if any.
  std::optional<uint32_t> tags_of_;
  std::vector<size_t> values_;
  // Numbers that points get: of the first tag set, and of the shape if all rows have one.
  uint32_t first_series_ = 0;
  uint32_t shape_ = ingest::kNoNumber;
  ingest::Point point_;
  std::vector<ingest::Tag> tags_;
  std::vector<ingest::Field> fields_;
};

}  // namespace sluice::typed

#endif  // SLUICE_SERVER_TYPED_COLUMN_SOURCE_H_

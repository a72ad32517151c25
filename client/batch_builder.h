#ifndef SLUICE_CLIENT_BATCH_BUILDER_H_
#define SLUICE_CLIENT_BATCH_BUILDER_H_

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/writer.h"
#include "sluice/v1/points.pb.h"

// Points on their way into a batch; not part of the library's interface.

namespace sluice::client {

// As in Point: neither of them is empty, and no key is there twice.
struct Series::Names {
  std::string table;
  std::vector<std::pair<std::string, std::string>> tags;
};

// A batch as it is sent, and whose points they are.
struct SealedBatch {
  enum class Kind { kColumns, kLines };

  // What one call of AddLines gave: so many points from `first_point` on, whose text begins after
  // so many lines.
  struct Lines {
    uint64_t cookie = 0;
    size_t first_point = 0;
    int64_t lines_before = 0;
  };

  Kind kind = Kind::kColumns;
  // A ColumnBatch, or line protocol.
  std::string bytes = "";
  size_t point_count = 0;
  // Of columns, for each point, as the server counts them.
  std::vector<uint64_t> cookies = {};
  // Of line protocol.
  std::vector<Lines> lines = {};

  // The call that gave point `index` of line protocol; null where there is none.
  const Lines* LinesOf(size_t index) const;
  // The cookie of point `index`.
  uint64_t CookieOf(size_t index) const;
  // Whose text has the line, and which of that it is, counted from 1.
  int64_t LineIn(size_t index, int64_t line) const;
  std::vector<uint64_t> AllCookies() const;
  // With the cookies that are made of lines when they are told.
  size_t held_bytes() const {
    return bytes.capacity() + std::max(cookies.capacity(), point_count) * sizeof(uint64_t) +
           lines.capacity() * sizeof(Lines);
  }
};

// Gathers points into columns of the wire's own form, in the order in which they come: a table
// whose field changes its type is begun again. For one thread.
class BatchBuilder {
 public:
  // What new tags and fields of a point may cost for all rows before it, which do not have them.
  // Where it would be more a new table is cheaper, which has the names a second time.
  static constexpr size_t kMaxBackfillBytes = 4 << 10;

  // Why a point is none, if so.
  static absl::Status Check(const Series& series, std::span<const FieldView> fields);

  // Takes a point, or tells as Check does why it is none.
  absl::Status Add(const Series& series, int64_t time_ns, std::span<const FieldView> fields,
                   uint64_t cookie);

  bool empty() const { return point_count_ == 0; }
  size_t point_count() const { return point_count_; }
  // As it will be sent, at most.
  size_t bytes() const { return bytes_; }
  // What is held besides, to find names and values again.
  size_t index_bytes() const { return index_bytes_; }
  // What one more tag set takes for the tags that it does not have, at most.
  size_t set_bytes() const { return most_tags_ * sizeof(uint32_t); }

  // Nothing is left afterwards.
  SealedBatch Seal();

 private:
  struct Column {
    v1::FieldColumn* wire = nullptr;
    size_t kind = 0;
    // Of the rows so far, those that have a value, and the first that has none.
    size_t present = 0;
    // The row after the last that has one.
    size_t end = 0;
    bool has_gaps = false;
  };
  struct Tag {
    v1::TagColumn* wire = nullptr;
    absl::flat_hash_map<std::string_view, uint32_t> values;
  };
  // Rows of one table whose columns keep their types.
  struct Table {
    v1::TableBatch* wire = nullptr;
    std::vector<uint64_t> cookies;
    std::deque<Column> columns;
    absl::flat_hash_map<std::string_view, size_t> column_numbers;
    // Those of the last row, in its order.
    std::vector<size_t> last_columns;
    std::deque<Tag> tags;
    absl::flat_hash_map<std::string_view, size_t> tag_numbers;
    absl::flat_hash_map<const Series::Names*, uint32_t> sets;
    // Held, since what is above refers to their texts.
    std::vector<std::shared_ptr<const Series::Names>> held;

    size_t row_count() const { return cookies.size(); }
    size_t key_count() const { return tags.size() + columns.size(); }
  };

  using TagText = std::pair<std::string, std::string>;

  static absl::Status CheckValues(const Series::Names& names, std::span<const FieldView> fields);
  static absl::Status CheckKeys(std::span<const FieldView> fields);
  Table& BeginTable(const std::string& name);
  static bool HasRoom(const Table& table, std::span<const TagText> tags,
                      std::span<const FieldView> fields);
  static bool HasLastColumns(const Table& table, std::span<const FieldView> fields);
  // Makes the columns of the fields the last ones; false where one has another type.
  bool FindColumns(Table& table, std::span<const FieldView> fields);
  size_t AddColumn(Table& table, const FieldView& field);
  uint32_t AddSet(Table& table, const std::shared_ptr<const Series::Names>& names);
  void AddValue(Table& table, Column& column, const FieldView& field);
  static void Finish(Table& table);

  v1::ColumnBatch wire_;
  std::deque<Table> tables_;
  // Where rows of a table go.
  absl::flat_hash_map<std::string_view, Table*> current_;
  Table* last_ = nullptr;
  size_t point_count_ = 0;
  size_t bytes_ = 0;
  size_t index_bytes_ = 0;
  // Of one table.
  size_t most_tags_ = 0;
};

// Line protocol that ends with a whole line, and what is in it.
struct Lines {
  std::string text = "";
  size_t point_count = 0;
  // The last line goes on, in a text that is not closed for instance: what is put behind it would
  // be taken for its rest.
  bool is_open_ended = false;
  // The text is whole without its last byte too.
  bool is_newline_added = false;
};
// Or why it cannot be sent.
absl::StatusOr<Lines> ReadLines(std::string_view text);

// Gathers lines. For one thread.
class LinesBuilder {
 public:
  void Add(const Lines& lines, uint64_t cookie);

  bool empty() const { return batch_.point_count == 0; }
  size_t point_count() const { return batch_.point_count; }
  size_t bytes() const { return batch_.bytes.size(); }
  size_t index_bytes() const { return batch_.lines.capacity() * sizeof(SealedBatch::Lines); }

  SealedBatch Seal();

 private:
  SealedBatch batch_{.kind = SealedBatch::Kind::kLines};
  int64_t line_count_ = 0;
  bool is_newline_added_ = false;
};

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_BATCH_BUILDER_H_

// Any bytes as a batch of columns: it must not crash, and column by column it must come to the same
// as point by point. The same bytes as a batch of rows must not crash either.

#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "server/ingest/judge.h"
#include "server/typed/column_source.h"
#include "server/typed/row_source.h"

using sluice::ingest::Judge;
using sluice::ingest::PointSource;

namespace {

struct Result {
  size_t taken = 0;
  size_t rejected = 0;
  bool broken = false;
  // Of each table taken: its rows, and what values its columns have.
  std::map<std::string, std::pair<size_t, std::map<std::string, size_t>>> tables;

  friend bool operator==(const Result&, const Result&) = default;
};

// What a batch would take that its length does not tell: not worth the fuzzer's time.
constexpr size_t kMaxBytes = 1 << 20;

Result Run(PointSource& points, bool split) {
  Result result;
  Judge judge(std::make_shared<const sluice::storage::DatabaseSchema>(), {.arrival_ns = 1});
  points.Rewind().IgnoreError();
  for (auto item = points.Next(); item != PointSource::Item::kEnd; item = points.Next()) {
    if (item == PointSource::Item::kBroken) {
      result.broken = true;
      return result;
    }
    if (item == PointSource::Item::kColumns) {
      if (points.columns_bytes() > 8 * kMaxBytes) return {};
      if (!points.ReadColumns().ok()) {
        result.broken = true;
        return result;
      }
      if (points.columns()->taken_bytes() > kMaxBytes) return {};
      if (!split && judge.AddColumns(*points.columns())) {
        result.taken += points.columns()->rows;
      } else {
        points.SplitColumns();
      }
      continue;
    }
    ++(judge.Add(points.point()) ? result.rejected : result.taken);
  }
  for (const auto& batch : judge.Finish().batches) {
    auto& [rows, values] = result.tables[batch.table()->name()];
    rows = batch.row_count();
    for (size_t i = 0; i < batch.columns().size(); ++i) {
      const auto& column = batch.columns()[i];
      // Sets are there once in columns, and for each point otherwise.
      if (column.type() == sluice::storage::ColumnType::kTag) continue;
      if (column.present_count() > 0) {
        values[batch.table()->columns()[i].name] = column.present_count();
      }
    }
  }
  return result;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  sluice::typed::ColumnSource columns(bytes);
  if (Run(columns, false) != Run(columns, true)) std::abort();
  sluice::typed::RowSource rows(bytes);
  Run(rows, false);
  return 0;
}

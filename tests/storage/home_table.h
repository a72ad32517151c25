#ifndef SLUICE_TESTS_STORAGE_HOME_TABLE_H_
#define SLUICE_TESTS_STORAGE_HOME_TABLE_H_

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "storage/store.h"
#include "tests/fixture/store_access.h"

// The table "home", whose points are told apart by their times alone: written, and read back.

namespace sluice::storage {

inline DatabaseName Name(const std::string& text) { return DatabaseName::Parse(text).value(); }

inline TablePtr Home(size_t columns = 1) {
  auto home = std::make_shared<TableSchema>(1, "home");
  for (size_t i = 0; i < columns; ++i) home->Add(fmt::format("f{}", i), ColumnType::kInteger);
  return home;
}

inline WriteSet WriteOf(const std::vector<int64_t>& times, TablePtr table = Home()) {
  WriteSet write;
  write.judged_by = std::make_shared<const DatabaseSchema>(DatabaseSchema().With({table}));
  write.batches.emplace_back(table);
  for (int64_t time : times) {
    const uint32_t set = write.batches.back().AddSet();
    write.batches.back().AddRow(set, time);
    write.batches.back().AddNumber(0, time);
  }
  return write;
}

// A write that makes the table.
inline WriteSet CreatingWriteOf(const Database& database, const std::vector<int64_t>& times) {
  WriteSet write = WriteOf(times);
  write.judged_by = fixture::SchemaOf(database);
  return write;
}

inline std::vector<int64_t> Times(const Database& database, int64_t min = INT64_MIN,
                                  int64_t max = INT64_MAX) {
  return fixture::TimesOf(database, "home", min, max);
}

}  // namespace sluice::storage

#endif  // SLUICE_TESTS_STORAGE_HOME_TABLE_H_

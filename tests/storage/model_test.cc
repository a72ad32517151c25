// A random life of a store beside a model that does the same in a map: points in, merges, restarts,
// losses of power, drops; then every point out. SLUICE_SECONDS says how long, SLUICE_SEED which.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <map>
#include <random>
#include <thread>

#include "server/ingest/pipeline.h"
#include "storage/rocksdb/check.h"
#include "storage/rocksdb/store.h"
#include "tests/fixture/fault_file_system.h"
#include "tests/fixture/store_access.h"
#include "tests/fixture/temp_dir.h"
#include "tests/fixture/write_lines.h"

namespace sluice::storage {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kDay = int64_t{86400} * 1'000'000'000;

int FromEnvironment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

struct ToText {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(std::string_view value) const { return std::string(value); }
  template <typename T>
  std::string operator()(T value) const {
    return fmt::format("{}", value);
  }
};

// Table, tags, time; and the fields that have a value.
using Point = std::tuple<std::string, std::string, int64_t>;
using Fields = std::map<std::string, std::string>;
using Model = std::map<Point, Fields>;

class Life {
 public:
  explicit Life(uint32_t seed) : random_(seed) { Open(); }

  void Step() {
    const int what = Pick(100);
    if (what < 80) {
      Write();
    } else if (what < 88) {
      std::this_thread::sleep_for(milliseconds(Pick(30)));
    } else if (what < 92) {
      Open();
    } else if (what < 94) {
      LosePower();
    } else if (what < 95) {
      Drop();
    } else {
      Check();
    }
  }

  void Check() {
    Model found;
    for (const char* name : {"a", "b"}) {
      auto database = store_->FindDatabase(Name(name));
      if (database.ok()) Read(name, **database, found);
    }
    ASSERT_EQ(found, model_);
    EXPECT_EQ(fixture::FigureOf(*store_, "merge_failures_total"), 0);
  }

  void CheckBlocks() {
    store_.reset();
    const StoreReport report = CheckStore(data_).value();
    for (const std::string& fault : report.faults) ADD_FAILURE() << fault;
    Open();
  }

 private:
  int Pick(int count) { return static_cast<int>(random_() % static_cast<uint32_t>(count)); }
  static DatabaseName Name(const std::string& text) { return DatabaseName::Parse(text).value(); }

  void Open() {
    store_.reset();
    // Merges of very different sizes.
    const size_t merge_bytes = size_t{1} << (12 + Pick(14));
    store_ = OpenRocksDbStore(data_, {.min_free_disk_bytes = 0,
                                      .block_cache_bytes = 1 << 20,
                                      .write_buffer_bytes = 1 << 20,
                                      .compaction = {.threads = 1 + static_cast<size_t>(Pick(2)),
                                                     .max_merge_bytes = merge_bytes,
                                                     .quiet = milliseconds(1 + Pick(10))},
                                      .file_system = disk_})
                 .value();
  }

  // Goes on with what the disk had for certain.
  void LosePower() {
    const std::string after = fmt::format("{}/{}", dir_.path(), ++losses_);
    disk_->CopyAsAfterPowerLoss(data_, after);
    store_.reset();
    std::filesystem::remove_all(data_);
    data_ = after;
    disk_ = std::make_shared<fixture::FaultFileSystem>();
    Open();
  }

  void Drop() {
    const std::string name = Pick(2) == 0 ? "a" : "b";
    if (!store_->DropDatabase(Name(name)).ok()) return;
    std::erase_if(model_, [&](const auto& entry) {
      return std::get<0>(entry.first).starts_with(name + "/");
    });
  }

  void Write() {
    const std::string name = Pick(2) == 0 ? "a" : "b";
    std::string body;
    Model written;
    // Mostly few, now and then more than a block holds.
    const int count = Pick(60) == 0 ? 40'000 : 1 + Pick(Pick(4) == 0 ? 500 : 20);
    const int64_t range = count > 1000 ? 60'000 : 300;
    for (int i = 0; i < count; ++i) {
      const std::string table = fmt::format("t{}", count > 1000 ? 0 : Pick(3));
      const int64_t time = Pick(static_cast<int>(range)) + (Pick(3) - 1) * kDay;
      std::string tags;
      std::string key;
      for (const char* tag : {"h", "r"}) {
        if (Pick(4) == 0) continue;
        const std::string value = fmt::format("{}{}", tag, Pick(4));
        tags += fmt::format(",{}={}", tag, value);
        key += fmt::format("{}={};", tag, value);
      }
      Fields fields;
      std::string text;
      auto add = [&](const std::string& field, const std::string& lp, const std::string& value) {
        text += (text.empty() ? "" : ",") + field + "=" + lp;
        fields[field] = value;
      };
      const int number = Pick(1000);
      if (Pick(2) == 0) add("i", fmt::format("{}i", number), std::to_string(number));
      if (Pick(3) == 0) add("s", fmt::format("\"x{}\"", number), fmt::format("x{}", number));
      if (Pick(3) == 0) add("b", number % 2 == 0 ? "t" : "f", number % 2 == 0 ? "true" : "false");
      // Columns come and come.
      const std::string late = fmt::format("c{}", Pick(40));
      if (fields.empty() || Pick(9) == 0)
        add(late, fmt::format("{}u", number), std::to_string(number));
      body += fmt::format("{}{} {} {}\n", table, tags, text, time);
      for (const auto& [field, value] : fields) {
        written[{name + "/" + table, key, time}][field] = value;
      }
    }
    auto outcome = fixture::WriteLines(*store_, log_, {.database = Name(name), .body = body},
                                       {.create_databases = true});
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    ASSERT_EQ(outcome->rejected, 0) << outcome->rejections[0].message;
    for (const auto& [point, fields] : written) {
      for (const auto& [field, value] : fields) model_[point][field] = value;
    }
  }

  static void Read(const std::string& name, const Database& database, Model& found) {
    auto snapshot = database.TakeSnapshot().value();
    for (const TablePtr& table : snapshot->schema().Tables()) {
      ScanSpec spec;
      spec.table = table;
      for (size_t i = 0; i < table->columns().size(); ++i) spec.columns.push_back(i);
      auto scan = snapshot->Read(spec).value();
      ScanRows rows;
      while (true) {
        absl::Status next = scan->Next(rows);
        ASSERT_TRUE(next.ok()) << next;
        if (rows.timestamps.empty()) break;
        for (size_t row = 0; row < rows.timestamps.size(); ++row) {
          std::map<std::string, std::string> tags;
          Fields fields;
          for (size_t i = 0; i < table->columns().size(); ++i) {
            const std::string value = std::visit(ToText(), rows.columns[i][row]);
            if (value.empty()) continue;
            const Column& column = table->columns()[i];
            (column.type == ColumnType::kTag ? tags : fields)[column.name] = value;
          }
          std::string key;
          for (const auto& [tag, value] : tags) key += fmt::format("{}={};", tag, value);
          const Point point{name + "/" + table->name(), key, rows.timestamps[row]};
          ASSERT_TRUE(found.emplace(point, fields).second) << "a point comes twice";
        }
      }
    }
  }

  std::mt19937 random_;
  fixture::TempDir dir_;
  std::string data_ = dir_.path() + "/0";
  int losses_ = 0;
  std::shared_ptr<fixture::FaultFileSystem> disk_ = std::make_shared<fixture::FaultFileSystem>();
  ingest::RejectionLog log_;
  std::unique_ptr<Store> store_;
  Model model_;
};

TEST(ModelTest, WhatWentInComesOutWhateverHappensBetween) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::seconds(FromEnvironment("SLUICE_SECONDS", 8));
  for (int seed = FromEnvironment("SLUICE_SEED", 1); std::chrono::steady_clock::now() < end;
       ++seed) {
    SCOPED_TRACE(fmt::format("SLUICE_SEED={}", seed));
    Life life(static_cast<uint32_t>(seed));
    for (int step = 0; step < 150 && !testing::Test::HasFailure(); ++step) {
      SCOPED_TRACE(fmt::format("step {}", step));
      life.Step();
    }
    if (!testing::Test::HasFailure()) life.Check();
    life.CheckBlocks();
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::storage

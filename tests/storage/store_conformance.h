#ifndef SLUICE_TESTS_STORAGE_STORE_CONFORMANCE_H_
#define SLUICE_TESTS_STORAGE_STORE_CONFORMANCE_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "storage/store.h"
#include "tests/fixture/temp_dir.h"

namespace sluice::storage {

// A store under test, below one directory.
class StoreWorld {
 public:
  virtual ~StoreWorld() = default;

  // Opens what is in the directory, or makes it.
  virtual std::unique_ptr<Store> Open(const std::string& directory) = 0;
  // The machine stops at this moment, while the store is open: leaves in `to` what a directory is
  // like after that. False where this world cannot do that.
  virtual bool LosePower(const std::string& directory, const std::string& to) = 0;
};

// What every store does, whatever it stores in. Instantiate it for one:
//
//   INSTANTIATE_TEST_SUITE_P(Name, StoreConformance, testing::Values(MakeWorld));
class StoreConformance : public testing::TestWithParam<std::unique_ptr<StoreWorld> (*)()> {
 protected:
  StoreConformance() { Open(); }

  void Open() { store_ = world_->Open(directory()); }
  void Reopen() {
    store_.reset();
    Open();
  }
  std::string directory() const { return dir_.path() + "/store"; }
  std::shared_ptr<Database> Create(const std::string& name);
  std::shared_ptr<Database> Find(const std::string& name);

  fixture::TempDir dir_;
  const std::unique_ptr<StoreWorld> world_ = GetParam()();
  std::unique_ptr<Store> store_;
};

}  // namespace sluice::storage

#endif  // SLUICE_TESTS_STORAGE_STORE_CONFORMANCE_H_

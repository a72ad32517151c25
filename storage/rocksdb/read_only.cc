#include "storage/rocksdb/read_only.h"

#include <cstdarg>

namespace sluice::storage {
namespace {

class NoLog : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace

rocksdb::Status ReadOnlyDb::Open(rocksdb::Env& env, const std::string& path,
                                 std::unique_ptr<ReadOnlyDb>& opened) {
  rocksdb::DBOptions options;
  options.env = &env;
  options.info_log = std::make_shared<NoLog>();
  std::vector<std::string> names;
  rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, path, &names);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (const std::string& name : names) {
    descriptors.emplace_back(name, rocksdb::ColumnFamilyOptions());
  }
  std::unique_ptr<ReadOnlyDb> made(new ReadOnlyDb());
  rocksdb::DB* db = nullptr;
  if (status.ok()) {
    status = rocksdb::DB::OpenForReadOnly(options, path, descriptors, &made->families_, &db);
  }
  made->db_.reset(db);
  if (status.ok()) opened = std::move(made);
  return status;
}

ReadOnlyDb::~ReadOnlyDb() {
  for (rocksdb::ColumnFamilyHandle* family : families_) db_->DestroyColumnFamilyHandle(family);
}

}  // namespace sluice::storage

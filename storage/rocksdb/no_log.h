#ifndef SLUICE_STORAGE_ROCKSDB_NO_LOG_H_
#define SLUICE_STORAGE_ROCKSDB_NO_LOG_H_

#include <rocksdb/env.h>

#include <cstdarg>

namespace sluice::storage {

// Where what RocksDB has to say goes nowhere: without one it keeps a file beside the data.
class NoLog : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_NO_LOG_H_

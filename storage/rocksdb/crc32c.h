#ifndef SLUICE_STORAGE_ROCKSDB_CRC32C_H_
#define SLUICE_STORAGE_ROCKSDB_CRC32C_H_

#include <rocksdb/file_checksum.h>

#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice::storage {

// CRC-32C as RocksDB makes it, which offers it only as the checksum of a file.
class Crc32c {
 public:
  Crc32c() = default;
  void Add(std::string_view bytes) { generator_->Update(bytes.data(), bytes.size()); }
  // Of all that was added, which ends it.
  uint32_t Value() {
    generator_->Finalize();
    // The most significant byte first.
    uint32_t value = 0;
    for (char byte : generator_->GetChecksum()) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }

 private:
  const std::unique_ptr<rocksdb::FileChecksumGenerator> generator_ =
      rocksdb::GetFileChecksumGenCrc32cFactory()->CreateFileChecksumGenerator({});
};

}  // namespace sluice::storage

#endif  // SLUICE_STORAGE_ROCKSDB_CRC32C_H_

#include "storage/rocksdb/keys.h"

#include "storage/bytes.h"

namespace sluice::storage {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;

std::string EncodeWithTag(char tag, const BlockKey& key) {
  std::string bytes(1, tag);
  PutBe32(bytes, key.table);
  PutBe64(bytes, static_cast<uint64_t>(key.partition) ^ kSignBit);
  PutBe64(bytes, key.sequence);
  PutBe64(bytes, key.run);
  return bytes;
}

}  // namespace

std::string DatabaseKey(std::string_view name) {
  return std::string(1, kDatabaseKeyTag).append(name);
}

std::string DroppedKey(uint32_t id) {
  std::string key(1, kDroppedKeyTag);
  PutBe32(key, id);
  return key;
}

std::string TokenKey(std::string_view name) { return std::string(1, kTokenKeyTag).append(name); }

std::string SchemaKey(uint32_t table) {
  std::string key(1, kSchemaKeyTag);
  PutBe32(key, table);
  return key;
}

std::string MarkKey(std::string_view writer) { return std::string(1, kMarkKeyTag).append(writer); }

std::string Encode(const BlockKey& key) { return EncodeWithTag(kBlockKeyTag, key); }

std::string BodyKey(const BlockKey& key) { return EncodeWithTag(kBodyKeyTag, key); }

std::optional<BlockKey> DecodeBlockKey(std::string_view bytes) {
  ByteReader reader(bytes);
  if (reader.Byte() != kBlockKeyTag) return std::nullopt;
  BlockKey key;
  key.table = reader.Be32();
  key.partition = static_cast<int64_t>(reader.Be64() ^ kSignBit);
  key.sequence = reader.Be64();
  key.run = reader.Be64();
  if (!reader.ok() || !reader.empty()) return std::nullopt;
  return key;
}

}  // namespace sluice::storage

#include "server/ingest/rejection_log.h"

namespace sluice::ingest {
namespace {

size_t BytesOf(const KeptRejection& kept) {
  const Rejection& rejection = kept.rejection;
  return sizeof(KeptRejection) + kept.origin.door.size() + kept.origin.principal.size() +
         kept.origin.peer.size() + rejection.message.size() + rejection.table.size() +
         rejection.column.size() + rejection.excerpt.size();
}

}  // namespace

void RejectionLog::Add(uint32_t database_id, int64_t time_ns, const Origin& origin,
                       const std::vector<Rejection>& rejections) {
  if (rejections.empty()) return;
  std::lock_guard lock(mutex_);
  for (const Rejection& rejection : rejections) {
    auto entry =
        std::make_shared<KeptRejection>(KeptRejection{++last_id_, time_ns, origin, rejection});
    const size_t bytes = BytesOf(*entry);
    all_.push_front({database_id, bytes, std::move(entry)});
    OfDatabase& own = by_database_[database_id];
    own.newest_first.push_front(all_.begin());
    own.bytes += bytes;
    total_bytes_ += bytes;
    // One stays, whatever its size.
    while (own.newest_first.size() > 1 &&
           (own.newest_first.size() > limits_.max_lines || own.bytes > limits_.max_bytes)) {
      RemoveOldest(database_id);
    }
  }
  while (total_bytes_ > limits_.max_total_bytes) RemoveOldest(all_.back().database_id);
}

// With mutex_ held. The oldest of all is the oldest of its database.
void RejectionLog::RemoveOldest(uint32_t database_id) {
  auto own = by_database_.find(database_id);
  All::iterator oldest = own->second.newest_first.back();
  own->second.newest_first.pop_back();
  own->second.bytes -= oldest->bytes;
  total_bytes_ -= oldest->bytes;
  all_.erase(oldest);
  if (own->second.newest_first.empty()) by_database_.erase(own);
}

std::vector<RejectionLog::Entry> RejectionLog::List(uint32_t database_id, size_t max_count,
                                                    int64_t newer_than) const {
  std::lock_guard lock(mutex_);
  std::vector<Entry> entries;
  auto own = by_database_.find(database_id);
  if (own == by_database_.end()) return entries;
  for (All::iterator kept : own->second.newest_first) {
    if (entries.size() == max_count || kept->entry->id <= newer_than) break;
    entries.push_back(kept->entry);
  }
  return entries;
}

}  // namespace sluice::ingest

#include "server/grpc/request_ids.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/ingest/bad_field.h"
#include "storage/reason.h"

namespace sluice::grpc_door {
namespace {

// What a client may count on is five minutes.
constexpr std::chrono::minutes kKept(5);
constexpr size_t kMaxIdBytes = 64;
// Of an entry besides its texts.
constexpr size_t kEntryBytes = 200;

}  // namespace

absl::Status CheckId(const std::string& id, std::string_view field) {
  const bool fine = std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-';
  });
  if (fine && id.size() <= kMaxIdBytes) return absl::OkStatus();
  return ingest::BadField(field, "has up to 64 bytes of [A-Za-z0-9_-]");
}

absl::StatusOr<bool> RequestIds::Begin(const std::string& principal, const std::string& key,
                                       int64_t place, const std::string& fingerprint, Repeat repeat,
                                       Clock::time_point now) {
  AnswerPtr answer;
  {
    std::lock_guard lock(mutex_);
    ForgetOld(now);
    auto found = entries_.find(key);
    if (found != entries_.end() && found->second.answer != nullptr &&
        found->second.place != place) {
      Forget(found);
      found = entries_.end();
    }
    if (found == entries_.end()) {
      const size_t bytes = kEntryBytes + 2 * key.size() + principal.size() + fingerprint.size();
      const auto own = bytes_by_principal_.find(principal);
      const size_t own_bytes = own == bytes_by_principal_.end() ? 0 : own->second;
      const size_t others_bytes = std::min(max_bytes_, bytes_ - own_bytes);
      if (own_bytes + bytes > (max_bytes_ - others_bytes) / 2) {
        return storage::WithReason(
            absl::UnavailableError("so many requests with a request_id came with this token in the "
                                   "last five minutes that no more can be remembered; streams need "
                                   "none"),
            "REQUEST_IDS_FULL");
      }
      // Where memory cannot be had, before anything is counted.
      bytes_by_principal_.try_emplace(principal);
      Entry entry;
      entry.principal = principal;
      entry.fingerprint = fingerprint;
      entry.bytes = bytes;
      entries_.emplace(key, std::move(entry));
      Count(principal, static_cast<int64_t>(bytes));
      return true;
    }
    Entry& entry = found->second;
    if (entry.fingerprint != fingerprint) {
      return storage::WithReason(ingest::BadField("request_id", "another request had the same one"),
                                 "REQUEST_ID_REUSED");
    }
    answer = entry.answer;
    if (answer == nullptr) {
      entry.repeats.push_back(std::move(repeat));
      return false;
    }
  }
  repeat(answer);
  return false;
}

void RequestIds::End(const std::string& key, const AnswerPtr& answer, int64_t place,
                     Clock::time_point now) {
  std::vector<Repeat> repeats;
  {
    std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    // Where memory cannot be had, before anybody is told.
    if (answer != nullptr) by_age_.emplace_back(now, key);
    repeats.swap(entry.repeats);
    if (answer == nullptr) {
      Forget(found);
    } else {
      // What was done is remembered, whatever it takes: the next ones are refused.
      const size_t bytes = answer->response.SpaceUsedLong() +
                           answer->status.error_details().size() +
                           answer->status.error_message().size();
      entry.answer = answer;
      entry.place = place;
      entry.time = now;
      entry.bytes += bytes;
      Count(entry.principal, static_cast<int64_t>(bytes));
    }
  }
  for (const Repeat& repeat : repeats) repeat(answer);
}

void RequestIds::Count(const std::string& principal, int64_t bytes) {
  bytes_ += static_cast<size_t>(bytes);
  const auto own = bytes_by_principal_.try_emplace(principal).first;
  own->second += static_cast<size_t>(bytes);
  if (own->second == 0) bytes_by_principal_.erase(own);
}

void RequestIds::Forget(Entries::iterator entry) {
  Count(entry->second.principal, -static_cast<int64_t>(entry->second.bytes));
  entries_.erase(entry);
}

void RequestIds::ForgetOld(Clock::time_point now) {
  while (!by_age_.empty() && now - by_age_.front().first > kKept) {
    const auto found = entries_.find(by_age_.front().second);
    const bool is_it = found != entries_.end() && found->second.answer != nullptr &&
                       found->second.time == by_age_.front().first;
    if (is_it) Forget(found);
    by_age_.pop_front();
  }
}

}  // namespace sluice::grpc_door

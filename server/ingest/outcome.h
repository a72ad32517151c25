#ifndef SLUICE_SERVER_INGEST_OUTCOME_H_
#define SLUICE_SERVER_INGEST_OUTCOME_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ingest {

// Why a line was rejected; a closed list. The doors translate it, each by one total switch.
enum class Reason {
  kSyntax,
  kNumberOutOfRange,
  kTimestampOutOfRange,
  kValueTooLong,
  kTypeConflict,
  kDuplicateTag,
  kDuplicateField,
  kReservedName,
  kNoFields,
  kTableLimit,
  kColumnLimit,
  kBeyondRetention,
  kDayLimit,
};

// In lower case: "type_conflict".
std::string_view Name(Reason reason);

// `message` without the words that clients take for success (contract W-26): messages quote what
// was sent.
std::string Disarm(std::string message);

// How many rejections an outcome tells in full (contract W-21).
inline constexpr size_t kMaxRejections = 100;
// How much the told rejections of a dry run may take, in bytes: gRPC clients take answers of up to
// 4 MiB.
inline constexpr size_t kMaxToldBytes = size_t{2} << 20;
// How much of a rejected line is quoted, in bytes (contract W-23).
inline constexpr size_t kMaxExcerptBytes = 200;

// How much of a table's or column's name is told, in bytes.
inline constexpr size_t kMaxShownNameBytes = 256;

// One rejected line.
struct Rejection {
  // The physical line of the body at which it starts, counted from 1 (contract W-22).
  int64_t line_number = 0;
  // Its bytes in the body: the first, and one past the last.
  size_t begin = 0;
  size_t end = 0;
  Reason reason = Reason::kSyntax;
  // Whether the line could not be read, rather than read and not taken (contract W-21).
  bool unreadable = false;
  // What is wrong, for a person.
  std::string message;
  // What could be told of where, cut at kMaxShownNameBytes; empty otherwise.
  std::string table;
  std::string column;
  // The line as sent, cut at kMaxExcerptBytes on a UTF-8 boundary.
  std::string excerpt;
};

// What became of a request's lines.
struct Outcome {
  int64_t ingested = 0;
  int64_t rejected = 0;
  // The first of them, in the order of the body: kMaxRejections of a write.
  std::vector<Rejection> rejections;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_OUTCOME_H_

#ifndef SLUICE_SERVER_INGEST_OUTCOME_H_
#define SLUICE_SERVER_INGEST_OUTCOME_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::ingest {

// Why a point was rejected; a closed list. The doors translate it, each by one total switch.
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
  kNotUtf8,
  kEmptyName,
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

// Where in a request a point is.
struct Place {
  // Counted from 0; lines that could not be read count too.
  int64_t index = 0;
  // Where it came as a line of text.
  struct Line {
    // The physical line of the body at which it starts, counted from 1 (contract W-22).
    int64_t number = 0;
    // Its bytes in the body: the first, and one past the last.
    size_t begin = 0;
    size_t end = 0;
  };
  std::optional<Line> line = std::nullopt;

  // As a person counts: the line, or else the point from 1.
  int64_t number() const { return line ? line->number : index + 1; }
};

// One rejected point.
struct Rejection {
  Place place;
  Reason reason = Reason::kSyntax;
  // Whether it could not be read, rather than read and not taken (contract W-21).
  bool unreadable = false;
  // What is wrong, for a person.
  std::string message;
  // What could be told of where, cut at kMaxShownNameBytes; empty otherwise.
  std::string table;
  std::string column;
  // The line as sent, cut at kMaxExcerptBytes on a UTF-8 boundary.
  std::string excerpt;
};

// What became of a request's points.
struct Outcome {
  int64_t ingested = 0;
  int64_t rejected = 0;
  // The first of them, in the order of the body: kMaxRejections of a write.
  std::vector<Rejection> rejections;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_OUTCOME_H_

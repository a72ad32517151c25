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

inline constexpr size_t kReasons = static_cast<size_t>(Reason::kEmptyName) + 1;

// In lower case: "type_conflict".
std::string_view Name(Reason reason);

// `message` without the words that clients take for success (contract W-26): messages quote what
// was sent.
std::string Disarm(std::string message);

// How many rejections an outcome tells in full (contract W-21).
inline constexpr size_t kMaxRejections = 100;
// How much they may take, in bytes (contract W-83).
inline constexpr size_t kMaxRejectionBytes = size_t{256} << 10;
// How many rejections it tells at least by their index: gRPC clients take answers of up to 4 MiB.
inline constexpr int64_t kMaxToldIndexes = 1'000'000;
// How many causes an outcome counts apart.
inline constexpr size_t kMaxRejectionCounts = 100;
// How much the told rejections of a dry run may take, in bytes: gRPC clients take answers of up to
// 4 MiB.
inline constexpr size_t kMaxToldBytes = size_t{2} << 20;
// How much of a rejected line is quoted, in bytes (contract W-23).
inline constexpr size_t kMaxExcerptBytes = 200;

// How much of a table's or column's name is told, in bytes.
inline constexpr size_t kMaxShownNameBytes = 256;

// Where in a batch a point is.
struct Place {
  // Counted from 0; points that could not be read count too.
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

// Rejections that have the cause in common.
struct RejectionCount {
  Reason reason = Reason::kSyntax;
  // As in Rejection; both empty for what is left when there are kMaxRejectionCounts.
  std::string table;
  std::string column;
  int64_t count = 0;
  // Place::index of the first.
  int64_t first_index = 0;
};

// What became of a batch's points.
struct Outcome {
  int64_t ingested = 0;
  int64_t rejected = 0;
  // The first of them, in the order of the body: kMaxRejections of a write.
  std::vector<Rejection> rejections = {};
  // Of all of them: Place::index of the first, then of each its difference to the one before. Empty
  // where they are more than kMaxToldIndexes.
  std::vector<uint32_t> rejected_index_deltas = {};
  // Of all of them, the most frequent first.
  std::vector<RejectionCount> counts = {};
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_OUTCOME_H_

#ifndef SLUICE_SERVER_INGEST_POINT_H_
#define SLUICE_SERVER_INGEST_POINT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "server/ingest/outcome.h"

// What every format of a write comes to. A format is a PointSource and nothing else: what may be
// said about points is said by the judge (judge.h), the same for all.

namespace sluice::ingest {

enum class FieldType : uint8_t { kFloat, kInteger, kUnsigned, kString, kBoolean };

struct Tag {
  std::string_view key;
  // Empty is no tag.
  std::string_view value;
};

struct Field {
  std::string_view key;
  FieldType type = FieldType::kFloat;
  // Unless a string: a float's IEEE bits, an integer, an unsigned integer wrapped, 0 or 1.
  int64_t bits = 0;
  // A string.
  std::string_view text = {};
};

inline constexpr uint32_t kNoNumber = ~uint32_t{0};

// One point as it was sent: nothing about it has been judged.
struct Point {
  std::string_view table;
  // In any order, repeated keys kept.
  std::span<const Tag> tags = {};
  std::span<const Field> fields = {};
  // In the unit that the request names.
  std::optional<int64_t> timestamp = std::nullopt;

  // Where a source has numbered them: points with the same number have the same table and tags; the
  // same table and the same tag keys in the same order; fields of the same keys and types in the
  // same order. Numbers count from 0. They are what makes judging fast.
  uint32_t series = kNoNumber;
  uint32_t tag_keys = kNoNumber;
  uint32_t shape = kNoNumber;
};

// Why a point was not taken.
struct Objection {
  Reason reason;
  std::string message;
  // Empty where it is about none.
  std::string column;
};

struct PointColumns;

// Points in their order, which can be gone through again: another request may have changed the
// schema that they were judged by. For one thread at a time.
class PointSource {
 public:
  // A point; what should be one and cannot be read; points in columns; what makes it no request
  // (contract W-81); nothing more.
  enum class Item { kPoint, kUnreadable, kColumns, kBroken, kEnd };

  virtual ~PointSource() = default;

  // Goes back to before the first point. An error is the whole request's (contract W-4, W-7);
  // Unavailable where there is no memory.
  virtual absl::Status Rewind() = 0;
  // Goes to the next item, and tells what it is. Only after Rewind.
  virtual Item Next() = 0;
  // The point, where there is one; of an unreadable one, what could be read. Names and texts are
  // good until the next call of Next.
  virtual const Point& point() const = 0;
  // What is wrong with an unreadable one.
  virtual Objection fault() const = 0;
  // Where Next has said that there are columns: what it takes in memory to read them, roughly;
  // reads them, where an error is one of the whole request; and gives them, good until Next is
  // called again.
  virtual size_t columns_bytes() const { return 0; }
  virtual absl::Status ReadColumns() { return absl::OkStatus(); }
  virtual const PointColumns* columns() const { return nullptr; }
  // Next is to go through those point by point.
  virtual void SplitColumns() {}
  // Why there is nothing to be made of it, an error of the whole request; nothing more comes.
  virtual absl::Status error() const { return absl::OkStatus(); }

  // Where the point is, if it came as text. Costs something: asked only of points that are
  // rejected.
  virtual std::optional<Place::Line> line() = 0;
  // It as sent, without its end; empty where it was not sent as text.
  virtual std::string_view text() const = 0;

  // Of all points as they came, roughly: what judging them takes is measured by it.
  virtual size_t bytes() const = 0;
  // Whether all names and texts are known to be UTF-8, and need not be looked at.
  virtual bool is_utf8() const = 0;
  // Whether going through it takes a moment only, so that the thread that reads from the network
  // may do so.
  virtual bool is_quick() const = 0;
  // What to say where there is no point at all.
  virtual std::string_view no_points() const = 0;
};

}  // namespace sluice::ingest

#endif  // SLUICE_SERVER_INGEST_POINT_H_

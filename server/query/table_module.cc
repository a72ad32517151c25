#include "server/query/table_module.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "server/ingest/utf8.h"
#include "server/query/sqlite_text.h"
#include "server/query/time_collation.h"
#include "server/query/unsigned_collation.h"
#include "storage/timestamp.h"

// How a constraint travels from xBestIndex to xFilter, in the index string:
//
//   plan       := columns_used:16 hex digits constraint*
//   constraint := ('=' | '<' | '>' | 'l' | 'g') column:decimal ';'      l is <=, g is >=
//
// one constraint for each argument, in their order. Column 0 is the time, column n the table's
// column n-1. Constraints on the time are kept to the letter, whatever the other side turns out to
// be, so that SQLite does not look at each row again. Of the others it checks again what it does
// not know to be exact.

namespace sluice::query {
namespace {

using storage::ColumnType;

constexpr int kTimeColumn = 0;
// SQLite tells the use of columns from here on by one bit for all.
constexpr int kSharedUseBit = 63;
// Of what a statement says, in a message.
constexpr size_t kMaxShownBytes = 100;

// Contains "TEXT", "INT" or "FLOA" where SQLite is to treat values so.
std::string_view Declaration(ColumnType type) {
  switch (type) {
    case ColumnType::kTag:
      return "TEXT_TAG";
    case ColumnType::kFloat:
      return "FLOAT";
    case ColumnType::kInteger:
      return "INTEGER";
    case ColumnType::kUnsigned:
      return "UNSIGNED_INTEGER";
    case ColumnType::kString:
      return "TEXT_STRING";
    case ColumnType::kBoolean:
      return "BOOLEAN";
  }
  return "";
}

std::string QuoteName(std::string_view name) {
  std::string quoted = "\"";
  for (char c : name) {
    quoted.push_back(c);
    if (c == '"') quoted.push_back(c);
  }
  quoted.push_back('"');
  return quoted;
}

// SQLite would read up to the first NUL.
std::string ShowNul(const std::string& name) {
  return absl::StrReplaceAll(name, {{std::string(1, '\0'), "\u2400"}});
}

// The names as SQLite, which ignores their case, can tell them apart: the first of several that are
// one to it keeps its name, the others get a suffix that makes them differ from all.
std::vector<std::string> UniqueNames(const std::vector<std::string>& names) {
  std::vector<std::string> bases;
  std::set<std::string> all;
  for (const std::string& name : names) {
    bases.push_back(ShowNul(name));
    all.insert(absl::AsciiStrToLower(bases.back()));
  }
  std::set<std::string> taken;
  std::vector<std::string> unique;
  for (const std::string& base : bases) {
    std::string name = base;
    bool first = taken.insert(absl::AsciiStrToLower(name)).second;
    for (int i = 2; !first; ++i) {
      name = fmt::format("{}_{}", base, i);
      first = all.insert(absl::AsciiStrToLower(name)).second;
    }
    unique.push_back(name);
  }
  return unique;
}

struct Table : sqlite3_vtab {
  Table(TableSource& from, storage::TablePtr table)
      : sqlite3_vtab(), source(&from), schema(std::move(table)) {}

  int Fail(absl::Status status) {
    sqlite3_free(zErrMsg);
    zErrMsg = sqlite3_mprintf("%s", std::string(status.message()).c_str());
    if (source->status.ok()) source->status = std::move(status);
    return SQLITE_ERROR;
  }

  TableSource* source;
  storage::TablePtr schema;
};

struct Cursor : sqlite3_vtab_cursor {
  Cursor() : sqlite3_vtab_cursor() {}

  Table& table() const { return *static_cast<Table*>(pVtab); }

  int Fetch() {
    row = 0;
    absl::Status status = scan->Next(rows);
    return status.ok() ? SQLITE_OK : table().Fail(std::move(status));
  }

  std::unique_ptr<storage::Scan> scan;
  storage::ScanRows rows;
  size_t row = 0;
  // Where each column of the table is in `rows`.
  std::vector<std::optional<size_t>> place;
};

std::string DeclareTable(const storage::TableSchema& schema) {
  std::vector<std::string> names = {"time"};
  for (const storage::Column& column : schema.columns()) names.push_back(column.name);
  names = UniqueNames(names);
  std::string sql =
      fmt::format("CREATE TABLE t(\"time\" {} COLLATE {}", kTimeDeclaration, kTimeCollation);
  for (size_t i = 0; i < schema.columns().size(); ++i) {
    const ColumnType type = schema.columns()[i].type;
    sql += fmt::format(", {} {}", QuoteName(names[i + 1]), Declaration(type));
    if (type == ColumnType::kUnsigned) sql += fmt::format(" COLLATE {}", kUnsignedCollation);
  }
  return sql + ")";
}

// The argument is the table's place among the source's tables.
int Connect(sqlite3* connection, void* aux, int argc, const char* const* argv, sqlite3_vtab** out,
            char**) {
  auto& source = *static_cast<TableSource*>(aux);
  size_t index = source.tables.size();
  if (argc == 4) std::from_chars(argv[3], argv[3] + std::string_view(argv[3]).size(), index);
  if (index >= source.tables.size()) return SQLITE_ERROR;
  const storage::TablePtr& table = source.tables[index];
  int declared = sqlite3_declare_vtab(connection, DeclareTable(*table).c_str());
  if (declared != SQLITE_OK) return declared;
  *out = new Table(source, table);
  return SQLITE_OK;
}

int Disconnect(sqlite3_vtab* table) {
  delete static_cast<Table*>(table);
  return SQLITE_OK;
}

// How the plan spells a constraint; 0 where storage has no use for it.
char PlanOf(const sqlite3_index_info& info, int i, const Table& table) {
  const auto& constraint = info.aConstraint[i];
  if (!constraint.usable || constraint.iColumn < 0) return 0;
  std::string_view collation = sqlite3_vtab_collation(const_cast<sqlite3_index_info*>(&info), i);
  if (constraint.iColumn != kTimeColumn) {
    size_t column = static_cast<size_t>(constraint.iColumn - 1);
    bool is_tag = table.schema->columns()[column].type == ColumnType::kTag;
    bool equals = constraint.op == SQLITE_INDEX_CONSTRAINT_EQ && collation == "BINARY";
    return is_tag && equals ? '=' : 0;
  }
  if (collation != kTimeCollation) return 0;
  switch (constraint.op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
      return '=';
    case SQLITE_INDEX_CONSTRAINT_LT:
      return '<';
    case SQLITE_INDEX_CONSTRAINT_GT:
      return '>';
    case SQLITE_INDEX_CONSTRAINT_LE:
      return 'l';
    case SQLITE_INDEX_CONSTRAINT_GE:
      return 'g';
    default:
      return 0;
  }
}

// The other side of a constraint; null where it is no constant.
sqlite3_value* ConstantOf(sqlite3_index_info& info, int i) {
  sqlite3_value* value = nullptr;
  return sqlite3_vtab_rhs_value(&info, i, &value) == SQLITE_OK ? value : nullptr;
}

// Whether storage keeps to the constraint to the letter, so that SQLite need not look at each row
// again.
bool IsExact(sqlite3_index_info& info, int i) {
  if (info.aConstraint[i].iColumn == kTimeColumn) return true;
  sqlite3_value* value = ConstantOf(info, i);
  return value != nullptr && sqlite3_value_type(value) == SQLITE_TEXT;
}

bool Compares(unsigned char op) {
  switch (op) {
    case SQLITE_INDEX_CONSTRAINT_EQ:
    case SQLITE_INDEX_CONSTRAINT_NE:
    case SQLITE_INDEX_CONSTRAINT_LT:
    case SQLITE_INDEX_CONSTRAINT_LE:
    case SQLITE_INDEX_CONSTRAINT_GT:
    case SQLITE_INDEX_CONSTRAINT_GE:
    case SQLITE_INDEX_CONSTRAINT_IS:
    case SQLITE_INDEX_CONSTRAINT_ISNOT:
      return true;
    default:
      return false;
  }
}

// Whether somebody compares the time with a constant that is none: it would silently match nothing,
// or everything.
bool IsNoTime(sqlite3_index_info& info, int i) {
  if (info.aConstraint[i].iColumn != kTimeColumn) return false;
  sqlite3_value* value = ConstantOf(info, i);
  if (value == nullptr) return false;
  if (sqlite3_value_type(value) == SQLITE_BLOB) return true;
  if (sqlite3_value_type(value) != SQLITE_TEXT) return false;
  const std::string_view text = TextOf(value);
  // Whoever writes '2026' means a year, and not so many nanoseconds.
  const bool looks_like_a_date =
      text.size() <= 8 && text.find_first_not_of("0123456789") == std::string_view::npos;
  return looks_like_a_date || !ParseTime(text);
}

int BestIndex(sqlite3_vtab* vtab, sqlite3_index_info* info) {
  Table& table = *static_cast<Table*>(vtab);
  std::string plan = fmt::format("{:016x}", info->colUsed);
  int arguments = 0;
  info->estimatedCost = 1e9;
  for (int i = 0; i < info->nConstraint; ++i) {
    if (info->aConstraint[i].usable && Compares(info->aConstraint[i].op) && IsNoTime(*info, i)) {
      return table.Fail(absl::InvalidArgumentError(
          fmt::format("time is compared with '{}', which is no time; write '2026-01-31', "
                      "'2026-01-31T07:08:09Z', or a number of nanoseconds",
                      ingest::CutUtf8(TextOf(ConstantOf(*info, i)), kMaxShownBytes))));
    }
    char op = PlanOf(*info, i, table);
    if (op == 0) continue;
    plan += fmt::format("{}{};", op, info->aConstraint[i].iColumn);
    info->aConstraintUsage[i].argvIndex = ++arguments;
    info->aConstraintUsage[i].omit = IsExact(*info, i);
    info->estimatedCost /= op == '=' ? 100 : 10;
  }
  info->estimatedRows = static_cast<sqlite3_int64>(info->estimatedCost / 100) + 1;
  info->idxStr = sqlite3_mprintf("%s", plan.c_str());
  info->needToFreeIdxStr = 1;
  return info->idxStr == nullptr ? SQLITE_NOMEM : SQLITE_OK;
}

int Open(sqlite3_vtab*, sqlite3_vtab_cursor** out) {
  *out = new Cursor();
  return SQLITE_OK;
}

int Close(sqlite3_vtab_cursor* cursor) {
  delete static_cast<Cursor*>(cursor);
  return SQLITE_OK;
}

// Narrows the scan by a condition on the time in whole nanoseconds. False if no row can satisfy it.
bool NarrowTime(storage::ScanSpec& spec, char op, int64_t time_ns) {
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  if ((op == '>' && time_ns == kMax) || (op == '<' && time_ns == kMin)) return false;
  if (op == '=' || op == 'g') spec.min_time_ns = std::max(spec.min_time_ns, time_ns);
  if (op == '=' || op == 'l') spec.max_time_ns = std::min(spec.max_time_ns, time_ns);
  if (op == '>') spec.min_time_ns = std::max(spec.min_time_ns, time_ns + 1);
  if (op == '<') spec.max_time_ns = std::min(spec.max_time_ns, time_ns - 1);
  return true;
}

// The same in fractions of one.
bool NarrowFloatTime(storage::ScanSpec& spec, char op, double time_ns) {
  constexpr double kEnd = 9223372036854775808.0;
  if (time_ns >= kEnd) return op == '<' || op == 'l';
  if (time_ns < -kEnd) return op == '>' || op == 'g';
  const bool whole = time_ns == std::floor(time_ns);
  if (whole) return NarrowTime(spec, op, FloorToTime(time_ns));
  if (op == '=') return false;
  const bool before = op == '<' || op == 'l';
  return NarrowTime(spec, before ? 'l' : '>', FloorToTime(time_ns));
}

// The same by any value. What is no time comes after all times, as in the collation.
bool NarrowTimeBy(storage::ScanSpec& spec, char op, sqlite3_value* value) {
  switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
      return NarrowTime(spec, op, sqlite3_value_int64(value));
    case SQLITE_FLOAT:
      return NarrowFloatTime(spec, op, sqlite3_value_double(value));
    case SQLITE_TEXT:
      if (std::optional<int64_t> time_ns = ParseTime(TextOf(value))) {
        return NarrowTime(spec, op, *time_ns);
      }
      break;
    default:
      break;
  }
  return op == '<' || op == 'l';
}

// Narrows the scan by one constraint of the plan. False if no row can satisfy it.
bool Narrow(storage::ScanSpec& spec, char op, int column, sqlite3_value* value) {
  int type = sqlite3_value_type(value);
  if (type == SQLITE_NULL) return false;
  if (column != kTimeColumn) {
    // With a number on the other side, texts that SQLite reads as that number match too.
    if (type == SQLITE_TEXT) {
      spec.tags.push_back({static_cast<size_t>(column - 1), std::string(TextOf(value))});
    }
    return true;
  }
  return NarrowTimeBy(spec, op, value);
}

// False if no row can satisfy the plan.
bool ApplyPlan(std::string_view plan, sqlite3_value** values, storage::ScanSpec& spec) {
  for (int i = 0; !plan.empty(); ++i) {
    int column = 0;
    size_t end = plan.find(';');
    std::from_chars(plan.data() + 1, plan.data() + end, column);
    if (!Narrow(spec, plan[0], column, values[i])) return false;
    plan.remove_prefix(end + 1);
  }
  return spec.min_time_ns <= spec.max_time_ns;
}

void ChooseColumns(uint64_t used, const storage::TableSchema& schema, Cursor& cursor,
                   storage::ScanSpec& spec) {
  cursor.place.assign(schema.columns().size(), std::nullopt);
  for (size_t i = 0; i < schema.columns().size(); ++i) {
    int bit = std::min(static_cast<int>(i) + 1, kSharedUseBit);
    if ((used >> bit & 1) == 0) continue;
    cursor.place[i] = spec.columns.size();
    spec.columns.push_back(i);
  }
}

int Filter(sqlite3_vtab_cursor* base, int, const char* index, int, sqlite3_value** values) {
  constexpr size_t kUsedDigits = 16;
  Cursor& cursor = *static_cast<Cursor*>(base);
  Table& table = cursor.table();
  std::string_view plan(index);
  uint64_t used = 0;
  std::from_chars(plan.data(), plan.data() + kUsedDigits, used, 16);
  storage::ScanSpec spec;
  spec.table = table.schema;
  spec.min_time_ns = table.source->min_time_ns;
  spec.should_stop = table.source->should_stop;
  spec.charge = table.source->charge;
  ChooseColumns(used, *table.schema, cursor, spec);
  cursor.rows.Clear();
  cursor.row = 0;
  if (!ApplyPlan(plan.substr(kUsedDigits), values, spec)) return SQLITE_OK;
  auto scan = table.source->snapshot->Read(std::move(spec));
  if (!scan.ok()) return table.Fail(scan.status());
  cursor.scan = *std::move(scan);
  return cursor.Fetch();
}

int Next(sqlite3_vtab_cursor* base) {
  Cursor& cursor = *static_cast<Cursor*>(base);
  if (++cursor.row < cursor.rows.timestamps.size()) return SQLITE_OK;
  return cursor.Fetch();
}

int Eof(sqlite3_vtab_cursor* base) {
  const Cursor& cursor = *static_cast<Cursor*>(base);
  return cursor.row >= cursor.rows.timestamps.size() ? 1 : 0;
}

// Hands a value to SQLite.
struct SetResult {
  sqlite3_context* context;

  void operator()(std::monostate) const { sqlite3_result_null(context); }
  void operator()(double value) const { sqlite3_result_double(context, value); }
  void operator()(int64_t value) const { sqlite3_result_int64(context, value); }
  // SQLite's integers are signed. What they cannot hold stays exact as text.
  void operator()(uint64_t value) const {
    if (value <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      sqlite3_result_int64(context, static_cast<int64_t>(value));
    } else {
      SetText(context, fmt::format("{}", value));
    }
  }
  void operator()(std::string_view value) const { SetText(context, value); }
  void operator()(bool value) const { sqlite3_result_int(context, value ? 1 : 0); }
};

int ReadColumn(sqlite3_vtab_cursor* base, sqlite3_context* context, int column) {
  const Cursor& cursor = *static_cast<Cursor*>(base);
  if (column == kTimeColumn) {
    SetText(context, storage::FormatTimestamp(cursor.rows.timestamps[cursor.row]));
    return SQLITE_OK;
  }
  std::optional<size_t> place = cursor.place[static_cast<size_t>(column - 1)];
  if (place) std::visit(SetResult{context}, cursor.rows.columns[*place][cursor.row]);
  return SQLITE_OK;
}

int RowId(sqlite3_vtab_cursor* base, sqlite3_int64* row_id) {
  const Cursor& cursor = *static_cast<Cursor*>(base);
  *row_id = cursor.rows.row_ids[cursor.row];
  return SQLITE_OK;
}

sqlite3_module MakeModule() {
  sqlite3_module module = {};
  module.iVersion = 1;
  module.xCreate = Connect;
  module.xConnect = Connect;
  module.xBestIndex = BestIndex;
  module.xDisconnect = Disconnect;
  module.xDestroy = Disconnect;
  module.xOpen = Open;
  module.xClose = Close;
  module.xFilter = Filter;
  module.xNext = Next;
  module.xEof = Eof;
  module.xColumn = ReadColumn;
  module.xRowid = RowId;
  return module;
}

// SQLite keeps names that begin with "sqlite_" for itself, and so do we one name.
std::string TableName(const std::string& stored) {
  const std::string name = ShowNul(stored);
  bool reserved =
      absl::StartsWithIgnoreCase(name, "sqlite_") || absl::AsciiStrToLower(name) == kRejectionTable;
  return reserved ? fmt::format("_{}", name) : name;
}

// A table is named only where its name occurs in the text; a name with a quote is written otherwise
// there, and sqlite_schema lists all.
bool MayName(std::string_view lower_sql, std::string_view table) {
  return table.find_first_of("\"'`]") != std::string_view::npos ||
         lower_sql.find(absl::AsciiStrToLower(std::string(table))) != std::string_view::npos ||
         lower_sql.find("sqlite_") != std::string_view::npos;
}

}  // namespace

absl::Status AddTables(sqlite3* connection, TableSource& source, std::string_view sql) {
  static const sqlite3_module kModule = MakeModule();
  sqlite3_create_module(connection, "sluice", &kModule, &source);
  const std::string lower_sql = absl::AsciiStrToLower(std::string(sql));
  source.tables = source.snapshot->schema().Tables();
  std::vector<std::string> names;
  for (const storage::TablePtr& table : source.tables) names.push_back(TableName(table->name()));
  names = UniqueNames(names);
  for (size_t i = 0; i < names.size(); ++i) {
    if (!MayName(lower_sql, names[i])) continue;
    if (source.should_stop && source.should_stop()) {
      return source.status = absl::CancelledError("the query was stopped");
    }
    std::string create =
        fmt::format("CREATE VIRTUAL TABLE {} USING sluice({})", QuoteName(names[i]), i);
    if (sqlite3_exec(connection, create.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
      return absl::InternalError(fmt::format("cannot show table '{}' to SQLite: {}", names[i],
                                             sqlite3_errmsg(connection)));
    }
  }
  return absl::OkStatus();
}

std::string_view TypeOfDeclaration(std::string_view declared) {
  if (declared == kTimeDeclaration) return "time";
  for (ColumnType type : {ColumnType::kTag, ColumnType::kFloat, ColumnType::kInteger,
                          ColumnType::kUnsigned, ColumnType::kString, ColumnType::kBoolean}) {
    if (declared == Declaration(type)) return storage::Name(type);
  }
  return "";
}

}  // namespace sluice::query

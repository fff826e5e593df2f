#include "bench/report/comparison.h"

#include <algorithm>

#include "base/check.h"
#include "bench/report/json_fields.h"

namespace latchkey::bench {
namespace {

constexpr const char* kSchema = "latchkey-compare/1";
constexpr const char* kOurs = "latchkey";

using Pairs = std::vector<std::pair<std::string, std::string>>;

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kMet:
      return "met";
    case Verdict::kMissed:
      return "missed";
    case Verdict::kNotMeasured:
      break;
  }
  return "not measured";
}

// The cell, if it has samples.
const Cell* measured(const Row& row, std::string_view server) {
  const Cell* cell = row.cell(server);
  return cell != nullptr && !cell->samples.empty() ? cell : nullptr;
}

std::string cell_json(const Cell& cell) {
  JsonObject out;
  out.text("server", cell.server);
  if (!cell.samples.empty()) {
    out.raw("median", json_number(cell.median()))
        .raw("low", json_number(cell.low()))
        .raw("high", json_number(cell.high()));
  }
  out.raw("samples", json_numbers(cell.samples)).raw("rates", json_numbers(cell.rates));
  if (!cell.note.empty()) out.text("note", cell.note);
  return out.str();
}

// A line each, so that two runs can be compared with diff.
template <typename Items, typename ToJson>
std::string lines(const Items& items, const char* indent, ToJson to_json_of) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += indent + to_json_of(item);
  }
  return out + "]";
}

std::string row_json(const Row& row) {
  JsonObject out;
  out.text("id", row.id).text("title", row.title).text("unit", row.unit);
  out.text("better", row.target && row.target->at_least ? "more" : "less");
  if (row.target) {
    out.raw("target", JsonObject()
                          .raw("limit", json_number(row.target->limit))
                          .text("against", row.target->against)
                          .boolean("at_least", row.target->at_least)
                          .str());
    out.text("verdict", word(row.verdict()));
  }
  if (!row.note.empty()) out.text("note", row.note);
  return out.raw("cells", lines(row.cells, "\n    ", cell_json)).str();
}

std::string pairs_json(const Pairs& pairs) {
  JsonObject out;
  for (const auto& [key, value] : pairs) out.text(key, value);
  return out.str();
}

Pairs read_pairs(Fields& fields, const char* key, Complaints& complaints) {
  Pairs out;
  if (const JsonValue* object = fields.object(key)) {
    for (const auto& [name, value] : object->members) {
      out.emplace_back(name, text_of(value, fields.path_of(key) + "." + name, complaints));
    }
  }
  return out;
}

Cell read_cell(const JsonValue& value, const std::string& path, Complaints& complaints) {
  Fields fields(value, path, complaints);
  for (const char* key : {"median", "low", "high"}) fields.derived(key);
  Cell cell;
  cell.server = fields.text("server");
  cell.samples = fields.numbers("samples");
  cell.rates = fields.numbers("rates");
  cell.note = fields.optional_text("note");
  return cell;
}

Row read_row(const JsonValue& value, const std::string& path, Complaints& complaints) {
  Fields fields(value, path, complaints);
  for (const char* key : {"better", "verdict"}) fields.derived(key);
  Row row;
  row.id = fields.text("id");
  row.title = fields.text("title");
  row.unit = fields.text("unit");
  row.note = fields.optional_text("note");
  if (const JsonValue* object = fields.optional_object("target")) {
    Fields target(*object, fields.path_of("target"), complaints);
    row.target.emplace();
    row.target->limit = target.number("limit");
    row.target->against = target.text("against");
    row.target->at_least = target.boolean("at_least");
  }
  if (const JsonValue* cells = fields.array("cells")) {
    for (size_t i = 0; i < cells->items.size(); ++i) {
      row.cells.push_back(read_cell(
          cells->items[i], fields.path_of("cells") + "[" + std::to_string(i) + "]", complaints));
    }
  }
  return row;
}

void read_all(const JsonValue& document, Comparison& out, Complaints& complaints) {
  Fields fields(document, "", complaints);
  fields.schema(kSchema);
  out.started = fields.text("started");
  out.seconds = fields.number("seconds");
  out.machine = read_pairs(fields, "machine", complaints);
  out.versions = read_pairs(fields, "versions", complaints);
  if (const JsonValue* rows = fields.array("rows")) {
    for (size_t i = 0; i < rows->items.size(); ++i) {
      const std::string path = fields.path_of("rows") + "[" + std::to_string(i) + "]";
      out.rows.push_back(read_row(rows->items[i], path, complaints));
    }
  }
}

}  // namespace

double Cell::median() const {
  CHECK(!samples.empty());
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Cell::low() const {
  CHECK(!samples.empty());
  return *std::min_element(samples.begin(), samples.end());
}

double Cell::high() const {
  CHECK(!samples.empty());
  return *std::max_element(samples.begin(), samples.end());
}

const Cell* Row::cell(std::string_view server) const {
  for (const Cell& each : cells) {
    if (each.server == server) return &each;
  }
  return nullptr;
}

Verdict Row::verdict() const {
  const Cell* ours = measured(*this, kOurs);
  if (!target || ours == nullptr) return Verdict::kNotMeasured;
  double limit = target->limit;
  if (!target->against.empty()) {
    const Cell* theirs = measured(*this, target->against);
    // A factor of nothing is no limit: whoever measured 0 there measured nothing.
    if (theirs == nullptr || theirs->median() == 0) return Verdict::kNotMeasured;
    limit *= theirs->median();
  }
  const bool met = target->at_least ? ours->median() >= limit : ours->median() <= limit;
  return met ? Verdict::kMet : Verdict::kMissed;
}

std::optional<double> Row::ratio_to(std::string_view server) const {
  const Cell* ours = measured(*this, kOurs);
  const Cell* theirs = measured(*this, server);
  if (ours == nullptr || theirs == nullptr || theirs->median() == 0) return std::nullopt;
  return ours->median() / theirs->median();
}

std::string to_json(const Comparison& comparison) {
  return JsonObject()
             .text("schema", kSchema)
             .text("started", comparison.started)
             .raw("seconds", json_number(comparison.seconds))
             .raw("machine", pairs_json(comparison.machine))
             .raw("versions", pairs_json(comparison.versions))
             .raw("rows", lines(comparison.rows, "\n  ", row_json))
             .str() +
         "\n";
}

Result<Comparison> parse_comparison(std::string_view json) {
  auto document = parse_json(json);
  if (!document) return std::move(document).error();
  Comparison comparison;
  Complaints complaints;
  read_all(*document, comparison, complaints);
  if (!complaints.empty()) return Error{ErrorCode::kInvalid, complaints.first()};
  return comparison;
}

}  // namespace latchkey::bench

#include <algorithm>

#include "bench/report/format.h"
#include "bench/report/terminal.h"
#include "bench/report/text.h"

namespace latchkey::bench {
namespace {

constexpr size_t kColumns = 160;
constexpr size_t kMinTitle = 20;
constexpr size_t kMaxServer = 12;  // a longer name is cut

struct Column {
  std::string title;
  size_t width;
  bool to_the_right;  // numbers
  void fit(const std::string& text) { width = std::max(width, columns_of(text)); }
};

// What a row says in each column, a line each.
using Lines = std::vector<std::string>;

Lines cell_lines(const Row& row, const std::string& server) {
  const Cell* cell = row.cell(server);
  if (cell == nullptr) return {""};
  if (cell->samples.empty()) return {"-"};
  const std::string median = figure(cell->median()), spread = spread_text(*cell);
  Lines out = {median, spread == median ? "" : spread};
  if (!cell->rates.empty()) {
    const Cell rates{.server = "", .samples = cell->rates};
    out.push_back(figure(rates.median()) + "/s");
  }
  return out;
}

std::string ratio_text(const Row& row) {
  if (!row.target) return "";
  const auto ratio = row.ratio_to(row.target->against);
  return ratio ? figure(*ratio) : "";
}

void trim(std::string& line) {
  line.erase(line.find_last_not_of(' ') + 1);
}

// The columns right of the title.
class Table {
 public:
  explicit Table(const Comparison& comparison) : servers_(servers_of(comparison)) {
    for (const std::string& server : servers_) {
      const std::string name = wrap(printable(server), kMaxServer)[0];
      columns_.push_back({name, columns_of(name), true});
    }
    columns_.push_back({"ratio", 5, true});
    columns_.push_back({"target", 6, false});
    columns_.push_back({"verdict", 7, false});
    for (const Row& row : comparison.rows) {
      title_ = std::max(title_, columns_of(row.title));
      const std::vector<Lines> all = lines_of(row);
      for (size_t i = 0; i < all.size(); ++i) {
        for (const std::string& text : all[i]) columns_[i].fit(text);
      }
    }
    size_t others = 0;
    for (const Column& column : columns_) others += column.width + 2;
    const size_t room = kColumns > others ? kColumns - others : 0;
    title_ = std::max(kMinTitle, std::min(title_, room));
  }

  std::string head(const Paint& paint) const {
    std::string out = left("", title_);
    for (const Column& column : columns_) out += "  " + place(column, column.title);
    trim(out);
    return paint.dim(out) + "\n";
  }

  std::string row(const Row& row, const Paint& paint) const {
    Lines titles = wrap(printable(row.title), title_);
    const size_t title_lines = titles.size();
    titles.push_back("  " + printable(row.unit));
    const std::vector<Lines> all = lines_of(row);
    size_t count = titles.size();
    for (const Lines& lines : all) count = std::max(count, lines.size());
    std::string out;
    for (size_t line = 0; line < count; ++line) {
      const auto text = [&](const Lines& lines) { return line < lines.size() ? lines[line] : ""; };
      std::string title = left(text(titles), title_);
      std::string cells;
      for (size_t i = 0; i < all.size(); ++i) cells += "  " + place(columns_[i], text(all[i]));
      trim(cells);
      if (cells.empty()) trim(title);
      if (line == 0) {
        paint_verdict(row, paint, cells);
        out += title + cells;
      } else {
        out += (line < title_lines ? title : paint.dim(title)) + paint.dim(cells);
      }
      out += "\n";
    }
    return out;
  }

 private:
  std::vector<Lines> lines_of(const Row& row) const {
    std::vector<Lines> out;
    for (const std::string& server : servers_) out.push_back(cell_lines(row, server));
    out.push_back({ratio_text(row)});
    out.push_back({row.target ? printable(target_text(row)) : ""});
    out.push_back({row.target ? verdict_text(row) : ""});
    return out;
  }
  static std::string place(const Column& column, const std::string& text) {
    return column.to_the_right ? right(text, column.width) : left(text, column.width);
  }
  static void paint_verdict(const Row& row, const Paint& paint, std::string& cells) {
    if (!row.target) return;
    const std::string word = verdict_text(row);
    cells.resize(cells.size() - word.size());
    const Verdict verdict = row.verdict();
    cells += verdict == Verdict::kMet      ? paint.good(word)
             : verdict == Verdict::kMissed ? paint.bad(word)
                                           : paint.unsure(word);
  }

  std::vector<std::string> servers_;
  std::vector<Column> columns_;
  size_t title_ = kMinTitle;
};

std::string paragraph(const std::string& title, const std::string& text, const Paint& paint) {
  std::string out;
  for (const std::string& line : wrap(printable(title), kColumns)) out += paint.dim(line) + "\n";
  for (const std::string& line : wrap(printable(text), kColumns - 4)) out += "    " + line + "\n";
  return out;
}

// Why a cell is empty, and what bounds a row.
std::string notes(const Comparison& comparison, const Paint& paint) {
  std::string out;
  for (const Row& row : comparison.rows) {
    if (!row.note.empty()) out += paragraph(row.title, row.note, paint);
    for (const Cell& cell : row.cells) {
      if (!cell.note.empty()) out += paragraph(row.title + ", " + cell.server, cell.note, paint);
    }
  }
  return out.empty() ? "" : "\n" + out;
}

std::string pairs(const char* title, const std::vector<std::pair<std::string, std::string>>& pairs,
                  const Paint& paint) {
  std::string all;
  for (const auto& [key, value] : pairs) all += (all.empty() ? "" : "; ") + key + " " + value;
  return all.empty() ? "" : paragraph(title, all, paint);
}

}  // namespace

std::string text_report(const Comparison& comparison, Colours colours) {
  const Paint paint(colours);
  const Table table(comparison);
  std::string out = table.head(paint);
  for (const Row& row : comparison.rows) out += table.row(row, paint);
  out += notes(comparison, paint) + "\n";
  out += pairs("versions", comparison.versions, paint);
  out += pairs("machine", comparison.machine, paint);
  out += "\n" + paint.bold(summary_text(comparison)) + "; " +
         duration(comparison.seconds * 1e6).text() + " from " +
         when(printable(comparison.started)) + "\n";
  return out;
}

}  // namespace latchkey::bench

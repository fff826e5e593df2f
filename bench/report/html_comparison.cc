#include <algorithm>

#include "bench/report/format.h"
#include "bench/report/html.h"
#include "bench/report/html_page.h"
#include "bench/report/svg.h"

namespace latchkey::bench {
namespace {

constexpr const char* kTitle = "Latchkey beside its peers";

std::string verdict(const Row& row) {
  const char* kind = "none";
  if (row.target) {
    const Verdict found = row.verdict();
    kind = found == Verdict::kMet ? "met" : found == Verdict::kMissed ? "missed" : "unmeasured";
  }
  return element("span", std::string("class=\"verdict ") + kind + "\"", verdict_text(row));
}

// The place of a row in the page; an id has no spaces.
std::string anchor(const Row& row) {
  std::string out = "row-" + row.id;
  std::replace(out.begin(), out.end(), ' ', '-');
  return escape(out);
}

// What Latchkey's median may be at most (or at least), in the row's unit.
std::optional<double> limit_of(const Row& row) {
  if (!row.target) return std::nullopt;
  if (row.target->against.empty()) return row.target->limit;
  const Cell* theirs = row.cell(row.target->against);
  if (theirs == nullptr || theirs->samples.empty()) return std::nullopt;
  return row.target->limit * theirs->median();
}

std::string ratio(const Row& row, const std::string& server) {
  if (server == "latchkey") return "";
  const auto found = row.ratio_to(server);
  return found ? fine(figure(*found)) : "";
}

std::string column(const std::string& title, const char* kind = "") {
  const std::string attributes =
      std::string("scope=\"col\"") + (*kind != 0 ? std::string(" class=\"") + kind + "\"" : "");
  return element("th", attributes, escape(title));
}

std::string head(const std::string& columns) {
  return element("thead", element("tr", columns)) + "\n";
}

// All rows at a glance: the table of the terminal.
std::string overview(const Comparison& comparison) {
  const std::vector<std::string> servers = servers_of(comparison);
  std::string columns = column("work");
  // A narrow page shows what we have and the verdict; the peers are in the cards below.
  for (const std::string& server : servers) {
    columns += column(server, server == "latchkey" ? "" : "wide");
  }
  columns += column("ratio", "wide") + column("target", "text wide") + column("verdict", "text");
  std::string lines;
  for (const Row& row : comparison.rows) {
    const std::string link = element("a", "href=\"#" + anchor(row) + "\"", escape(row.title)) +
                             " " + element("small", fine(row.unit));
    std::string line = element("th", "scope=\"row\"", link);
    for (const std::string& server : servers) {
      const Cell* cell = row.cell(server);
      const bool measured = cell != nullptr && !cell->samples.empty();
      const std::string text = measured ? fine(figure(cell->median())) : "\u2013";
      line += server == "latchkey" ? element("td", element("b", text))
                                   : element("td", "class=\"wide\"", text);
    }
    line += element("td", "class=\"wide\"", row.target ? ratio(row, row.target->against) : "");
    line += element("td", "class=\"text wide\"", row.target ? fine(target_text(row)) : "");
    line += element("td", "class=\"text\"", verdict(row));
    lines += element("tr", line) + "\n";
  }
  return element("div",
                 "class=\"scroll overview\" tabindex=\"0\" role=\"region\" aria-label=\"All rows\"",
                 element("table", head(columns) + element("tbody", lines)));
}

std::string server_line(const Row& row, const Cell& cell, double end, double limit) {
  const std::string kind = cell.server == "latchkey" ? "ours"
                           : cell.server == "floor"  ? "floor"
                                                     : "peer";
  std::string name = escape(cell.server);
  if (!cell.rates.empty()) {
    const Cell rates{.server = "", .samples = cell.rates};
    name += element("small", fine(figure(rates.median())) + "/s");
  }
  std::string line = element("th", "scope=\"row\"", name);
  if (cell.samples.empty()) {
    return element("tr",
                   line + element("td", "class=\"cannot\" colspan=\"3\"", escape(cell.note))) +
           "\n";
  }
  const std::string median = figure(cell.median()), spread = spread_text(cell);
  const std::string title = cell.server + ": " + median + " " + row.unit + ", rounds " + spread;
  line += element("td", "class=\"plot\"", bar(cell, end, limit, title));
  line += element("td", fine(median) + (spread == median ? "" : element("small", fine(spread))));
  line += element("td", ratio(row, cell.server));
  std::string out = element("tr", "class=\"" + kind + "\"", line);
  if (!cell.note.empty()) {
    out += element("tr", element("td", "") +
                             element("td", "class=\"cannot\" colspan=\"3\"", escape(cell.note)));
  }
  return out + "\n";
}

std::string plot(const Row& row) {
  const double limit = limit_of(row).value_or(-1);
  double end = std::max(limit, 0.0);
  for (const Cell& cell : row.cells) {
    if (!cell.samples.empty()) end = std::max(end, cell.high());
  }
  if (end <= 0) end = 1;
  std::vector<const Cell*> cells;
  for (const Cell& cell : row.cells) {
    if (!cell.samples.empty() || !cell.note.empty()) cells.push_back(&cell);
  }
  if (cells.empty()) return "";
  std::stable_partition(cells.begin(), cells.end(),
                        [](const Cell* cell) { return cell->server == "latchkey"; });
  std::string lines;
  for (const Cell* cell : cells) lines += server_line(row, *cell, end * 1.02, limit);
  return element(
      "table", "class=\"bars\"",
      head(column("server") + column("") + column("median", "number") + column("ratio", "ratio")) +
          element("tbody", lines));
}

std::string card(const Row& row) {
  std::string what = fine(row.unit);
  if (row.target) {
    what += ". Target " + element("b", fine(target_text(row)));
    const auto limit = limit_of(row);
    if (limit && !row.target->against.empty()) what += fine(" = " + figure(*limit));
  }
  std::string out = element("header", element("h3", escape(row.title)) + verdict(row)) + "\n" +
                    element("p", "class=\"soft\"", what) + "\n" + plot(row);
  if (!row.note.empty()) out += "\n" + element("p", escape(row.note));
  return element("article", "class=\"row\" id=\"" + anchor(row) + "\"", out) + "\n";
}

std::string section(const char* title,
                    const std::vector<std::pair<std::string, std::string>>& pairs) {
  if (pairs.empty()) return "";
  return element("section", element("h2", title) + "\n" + definitions(pairs)) + "\n";
}

std::string tally(const Comparison& comparison) {
  const Tally found = tally_of(comparison);
  const auto number = [](size_t n) { return std::to_string(n); };
  std::string out = headline(
      "targets met", number(found.met) + " " + element("small", "of " + number(found.targets)), "");
  out += headline("missed", number(found.missed), "");
  out += headline("not measured", number(found.not_measured()), "");
  return element("dl", "class=\"headlines\"", "\n" + out) + "\n";
}

}  // namespace

std::string html_report(const Comparison& comparison) {
  std::string body = element("h1", kTitle) + "\n";
  body += element("p", "class=\"lead\"",
                  escape(when(comparison.started)) + ", one run of " +
                      fine(duration(comparison.seconds * 1e6).text()));
  body += "\n" + tally(comparison) + overview(comparison) + "\n";
  body += element("h2", "Row by row") + "\n";
  body += element(
      "p", "class=\"soft\"",
      "Bars are medians of the rounds, whiskers the lowest and the highest round, the dashed line "
      "is the target. The ratio is Latchkey\u2019s median divided by that server\u2019s. Absolute "
      "figures hold on this machine only; the ratios are what is claimed.");
  std::string cards;
  for (const Row& row : comparison.rows) cards += card(row);
  body += "\n" + element("section", "class=\"rows\"", "\n" + cards) + "\n";
  body +=
      element("div", "class=\"two\"",
              section("Versions", comparison.versions) + section("Machine", comparison.machine));
  return html_page(kTitle, body);
}

}  // namespace latchkey::bench

#include "bench/report/html_page.h"

namespace latchkey::bench {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// "us" as a word of its own.
std::string with_micro(std::string_view text) {
  std::string out(text);
  const auto letter = [&](size_t i) {
    return i < out.size() && ((out[i] >= 'a' && out[i] <= 'z') || (out[i] >= 'A' && out[i] <= 'Z'));
  };
  for (size_t at = 0; (at = out.find("us", at)) != std::string::npos; ++at) {
    if ((at == 0 || !letter(at - 1)) && !letter(at + 2)) out.replace(at, 1, "\u00b5");
  }
  return out;
}

// One hue says "ours", all others are greys: colour is left for verdicts.
constexpr const char* kStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #fff; --ink: #17191c; --soft: #5d646d; --faint: #d9dde2; --wash: #f5f6f8;
  --ours: #1f5fd0; --other: #a3abb6; --floor: #cfd4db; --second: #b0561a;
  --met: #157347; --missed: #b3261e; --unsure: #8a5a00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #14161a; --ink: #e8eaed; --soft: #9aa2ad; --faint: #32373f; --wash: #1c1f25;
    --ours: #6ea3ff; --other: #69717d; --floor: #454c57; --second: #e39a5e;
    --met: #5fc48f; --missed: #ff8a80; --unsure: #e0b352;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 3rem 1.5rem 4rem; max-width: 72rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue",
  Arial, sans-serif; font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.015em; font-weight: 650; margin: 0; }
h2 { font-size: 1.15rem; font-weight: 650; letter-spacing: -0.005em; margin: 3rem 0 0.8rem; }
h3 { font-size: 1.02rem; font-weight: 600; line-height: 1.35; margin: 0; }
p { margin: 0.5rem 0; max-width: 46rem; }
a { color: inherit; text-decoration-color: var(--faint); text-underline-offset: 0.2em; }
a:hover { text-decoration-color: currentColor; }
code { font: 0.85em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.lead { color: var(--soft); margin-top: 0.35rem; max-width: none; }
.soft, small { color: var(--soft); }
small { font-size: 0.86em; }
.command { display: block; padding: 0.7rem 0.9rem; background: var(--wash); border-radius: 6px;
  overflow-wrap: anywhere; }

.headlines { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr));
  gap: 1.4rem 2rem; margin: 2.2rem 0 0; padding: 1.4rem 0; border: solid var(--faint);
  border-width: 1px 0; }
.headlines dt { color: var(--soft); font-size: 0.86rem; }
.headlines dd { margin: 0; }
.headlines .value { font-size: 1.75rem; line-height: 1.25; font-weight: 600; letter-spacing: -0.02em; }
.headlines .value small { font-size: 0.95rem; font-weight: 400; letter-spacing: 0; }
.headlines .remark { color: var(--soft); font-size: 0.86rem; }

table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: 0.42rem 0 0.42rem 1.1rem; font-weight: 400;
  vertical-align: baseline; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { color: var(--soft); font-size: 0.86rem; border-bottom: 1px solid var(--faint); }
tbody tr + tr th, tbody tr + tr td { border-top: 1px solid var(--faint); }
th.text, td.text { text-align: left; }
.figures { margin-top: 1.2rem; }
.overview { margin-top: 1.6rem; }
.scroll { overflow-x: auto; }
.scroll th, .scroll td { white-space: nowrap; }
.scroll th:first-child { white-space: normal; min-width: 13rem; }

.verdict { font-weight: 600; white-space: nowrap; }
.verdict::before { content: ""; display: inline-block; width: 0.55em; height: 0.55em;
  margin-right: 0.45em; border-radius: 50%; background: currentColor; }
.met { color: var(--met); } .missed { color: var(--missed); } .unmeasured { color: var(--unsure); }
.none { color: var(--soft); font-weight: 400; }
.missed::before { border-radius: 0; } .none::before { display: none; }
.unmeasured::before { background: none; border: 2px solid currentColor; }

.rows { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr));
  gap: 2.6rem 3rem; margin-top: 1.4rem; }
.row { min-width: 0; border-top: 2px solid var(--ink); padding-top: 0.7rem; }
.row header { display: flex; justify-content: space-between; gap: 1rem; align-items: baseline; }
.row p { font-size: 0.92rem; }
.bars { margin-top: 0.6rem; table-layout: fixed; }
.bars th, .bars td { padding: 0 0 0 0.8rem; border: 0 !important; white-space: nowrap;
  line-height: 1.25; height: 2.5rem; vertical-align: middle; }
.bars th { padding: 0; }
.bars thead th { height: 1.6rem; }
.bars th:first-child { width: 5.6rem; }
.bars .number { width: 6.6rem; } .bars .ratio { width: 4.2rem; }
.bars.errors th:first-child { width: 40%; white-space: normal; overflow-wrap: anywhere; }
.bars .ours { font-weight: 600; }
.bars small { display: block; white-space: normal; font-size: 0.78rem; line-height: 1.2; font-weight: 400; }
.bars td.cannot { white-space: normal; text-align: left; color: var(--soft); font-size: 0.86rem;
  padding-left: 0.9rem; }
svg { display: block; overflow: visible; }
.bar { fill: var(--other); } .ours .bar { fill: var(--ours); } .floor .bar { fill: var(--floor); }
.whisker { stroke: var(--ink); stroke-width: 1.5; }
.limit { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 3 3; }
.bad .bar { fill: var(--missed); }

figure { margin: 0.6rem 0 0; }
figcaption { color: var(--soft); font-size: 0.92rem; margin-bottom: 0.9rem; max-width: 46rem; }
.chart { display: grid; grid-template-columns: 4.2rem minmax(0, 1fr); }
.chart text { font-size: 12px; fill: var(--soft); }
.grid { stroke: var(--faint); stroke-width: 1; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
.end { fill: var(--paper); }
.c0 { stroke: var(--ours); } .c1 { stroke: var(--second); } .c2 { stroke: var(--soft); }
.c3 { stroke: var(--missed); }
.legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; margin: 0 0 0.7rem; padding: 0;
  list-style: none; font-size: 0.92rem; }
.legend svg { display: inline-block; margin-right: 0.5em; vertical-align: 0.25em; }

.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr));
  gap: 0 3rem; }
dl.pairs { display: grid; grid-template-columns: minmax(7rem, max-content) minmax(0, 1fr);
  gap: 0.3rem 1.6rem; margin: 0; font-size: 0.94rem; }
dl.pairs dt { color: var(--soft); } dl.pairs dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  body { padding: 2rem 1.1rem 3rem; }
  h1 { font-size: 1.5rem; }
  .headlines { grid-template-columns: 1fr 1fr; gap: 1.1rem 1rem; }
  .headlines .value { font-size: 1.4rem; }
  .bars th:first-child { width: 4.5rem; } .bars .number { width: 4.9rem; }
  .bars .ratio { width: 3.6rem; }
  .chart { grid-template-columns: 3.6rem minmax(0, 1fr); }
  .wide { display: none; } .scroll th:first-child { min-width: 9rem; }
  .overview td, .overview .verdict { white-space: normal; }
  dl.pairs { grid-template-columns: 1fr; gap: 0; } dl.pairs dd { margin-bottom: 0.5rem; }
}
@media print { body { max-width: none; padding: 0; } .row, figure { break-inside: avoid; } }
)css";

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
    }
  }
  return out;
}

std::string fine(std::string_view text) {
  std::string out = with_micro(text);
  replace_all(out, "<= ", "\u2264\u00a0");
  replace_all(out, ">= ", "\u2265\u00a0");
  replace_all(out, " x ", "\u00a0\u00d7\u00a0");
  for (size_t i = 1; i + 1 < out.size(); ++i) {
    const auto digit = [&](size_t at) { return out[at] >= '0' && out[at] <= '9'; };
    if (!digit(i - 1) || !digit(i + 1)) continue;
    if (out[i] == ' ') out.replace(i, 1, "\u202f");  // a thin space that does not break
    if (out[i] == '-') out.replace(i, 1, "\u2013");
  }
  return escape(out);
}

std::string fine(const Quantity& quantity) {
  if (quantity.unit.empty()) return fine(quantity.number);
  return fine(quantity.number) + "\u202f" + element("small", fine(quantity.unit));
}

std::string element(std::string_view name, std::string_view attributes, std::string_view content) {
  std::string out = "<";
  out += name;
  if (!attributes.empty()) out += ' ';
  out += attributes;
  out += '>';
  out += content;
  out += "</";
  out += name;
  return out += '>';
}

std::string element(std::string_view name, std::string_view content) {
  return element(name, "", content);
}

std::string definitions(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (const auto& [key, value] : pairs) {
    out += element("dt", escape(key)) + element("dd", escape(value)) + "\n";
  }
  return element("dl", "class=\"pairs\"", out);
}

std::string headline(const std::string& label, const std::string& value,
                     const std::string& remark) {
  std::string out = element("dt", label) + element("dd", "class=\"value\"", value);
  if (!remark.empty()) out += element("dd", "class=\"remark\"", remark);
  return element("div", out) + "\n";
}

std::string html_page(std::string_view title, std::string_view body) {
  // The policy is a second lock: even what slipped through escape() could load and run nothing.
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; "
      "style-src &#39;unsafe-inline&#39;; base-uri &#39;none&#39;; form-action &#39;none&#39;\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta name=\"color-scheme\" content=\"light dark\"/>\n";
  out += element("title", escape(title)) + "\n" + element("style", kStyle) + "\n</head>\n<body>\n";
  out += body;
  return out + "\n</body>\n</html>\n";
}

}  // namespace latchkey::bench

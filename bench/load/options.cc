#include "bench/load/options.h"

#include <charconv>
#include <cmath>
#include <optional>

namespace latchkey::bench {
namespace {

using Complaint = std::optional<std::string>;  // what was expected; nullopt: nothing to say

// One option: how it is written, and what becomes of its value.
struct Flag {
  const char* name;
  const char* value;  // as --help shows it; null: a switch
  const char* help;
  Complaint (*apply)(Options& options, const std::string& value);
};

// A whole number within the bounds.
template <typename T>
Complaint integer(const std::string& value, uint64_t min, uint64_t max, T& out) {
  uint64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || number < min || number > max) {
    return "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
  }
  out = static_cast<T>(number);
  return std::nullopt;
}

Complaint real(const std::string& value, double min, double max, const char* what, double& out) {
  double number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error != std::errc() || stop != end || !std::isfinite(number) || number < min ||
      number > max) {
    return std::string(what);
  }
  out = number;
  return std::nullopt;
}

Complaint seconds(const std::string& value, double min, double& out) {
  return real(value, min, 1e6,
              min > 0 ? "seconds, more than 0 and up to a million" : "seconds, up to a million",
              out);
}

Complaint a_rate(const std::string& value, double& out) {
  return real(value, 0.001, 1e6, "operations a second, from 0.001 to 1000000", out);
}

template <typename T>
Complaint one_of(const std::string& value, const std::vector<std::pair<const char*, T>>& words,
                 T& out) {
  std::string expected;
  for (const auto& [word, meaning] : words) {
    if (value == word) return out = meaning, std::nullopt;
    expected += std::string(expected.empty() ? "" : " or ") + word;
  }
  return expected;
}

Complaint some_text(const std::string& value, std::string& out) {
  if (value.empty()) return "something that is not empty";
  out = value;
  return std::nullopt;
}

// --sni and --flood-sni and all between them: the last one counts only if it is the only one.
Complaint plan(NamePlan& names, NamePlan::Kind kind, const std::string& value) {
  if (names.kind != NamePlan::Kind::kNone) {
    return "one of --sni, --sni-file, --sni-range and --sni-random, not two";
  }
  names.kind = kind;
  return some_text(value, names.text);
}

Complaint pids(const std::string& value, std::vector<pid_t>& out) {
  for (size_t begin = 0; begin <= value.size();) {
    const size_t end = std::min(value.find(',', begin), value.size());
    pid_t pid = 0;
    if (auto wrong = integer(value.substr(begin, end - begin), 1, 1u << 30, pid)) {
      return "process ids between commas";
    }
    out.push_back(pid);
    begin = end + 1;
  }
  return std::nullopt;
}

using Kind = NamePlan::Kind;
using O = Options;
using S = const std::string;

const Flag kFlags[] = {
    {"--target", "HOST:PORT", "the server; anything but loopback needs --i-own-this-target",
     [](O& o, S& v) { return some_text(v, o.target); }},
    {nullptr, nullptr, "names", nullptr},
    {"--sni", "NAME", "one name", [](O& o, S& v) { return plan(o.names, Kind::kOne, v); }},
    {"--sni-file", "FILE", "the names of a file, one a line",
     [](O& o, S& v) { return plan(o.names, Kind::kFile, v); }},
    {"--sni-range", "PATTERN", "numbered names, such as 'shop%d.test'; see --names",
     [](O& o, S& v) { return plan(o.names, Kind::kRange, v); }},
    {"--sni-random", "PATTERN", "a name that never was, each time, such as '%s.new.test'",
     [](O& o, S& v) { return plan(o.names, Kind::kRandom, v); }},
    {"--names", "N", "how many --sni-range has (1000)",
     [](O& o, S& v) { return integer(v, 1, 1'000'000'000'000, o.names.count); }},
    {"--first", "K", "the number of the first one (0)",
     [](O& o, S& v) { return integer(v, 0, 1'000'000'000'000, o.names.first); }},
    {"--order", "ORDER", "sequential (over and over; the default) or random",
     [](O& o, S& v) {
       return one_of<bool>(v, {{"sequential", false}, {"random", true}}, o.names.at_random);
     }},
    {nullptr, nullptr, "load", nullptr},
    {"--connections", "C", "closed loop: so many at a time (32)",
     [](O& o, S& v) { return integer(v, 1, 1'000'000, o.connections); }},
    {"--rate", "R", "open loop: so many a second, however slow the server is",
     [](O& o, S& v) { return a_rate(v, o.rate); }},
    {"--arrivals", "KIND", "of an open loop: poisson (the default) or even",
     [](O& o, S& v) {
       using A = Arrivals::Kind;
       return one_of<A>(v, {{"poisson", A::kPoisson}, {"even", A::kEven}}, o.arrivals);
     }},
    {"--duration", "S", "how long is measured, in seconds (10)",
     [](O& o, S& v) { return seconds(v, 0.001, o.duration); }},
    {"--warmup", "S", "before that (1)", [](O& o, S& v) { return seconds(v, 0, o.warmup); }},
    {"--count", "N", "so many operations instead of a duration",
     [](O& o, S& v) { return integer(v, 1, 1'000'000'000'000, o.count); }},
    {"--repeat", "K", "deny: so many rounds over the same names (1)",
     [](O& o, S& v) { return integer(v, 1, 1000, o.repeat); }},
    {"--timeout", "S", "of a handshake and of an answer (10)",
     [](O& o, S& v) { return seconds(v, 0.001, o.timeout); }},
    {"--flood-sni", "PATTERN", "flood: the unknown names ('%s.flood.test')",
     [](O& o, S& v) { return plan(o.flood_names, Kind::kRandom, v); }},
    {"--flood-rate", "R", "flood: so many of them a second",
     [](O& o, S& v) { return a_rate(v, o.flood_rate); }},
    {"--flood-count", "N",
     "flood: or so many at once, as the measured time begins (connected by then)",
     [](O& o, S& v) { return integer(v, 1, 1'000'000, o.flood_count); }},
    {"--settle", "S", "idle: how long connections rest before memory is looked at again (5)",
     [](O& o, S& v) { return seconds(v, 0.001, o.settle); }},
    {"--interval", "S", "of the series (1; soak: a hundredth of --duration)",
     [](O& o, S& v) { return seconds(v, 0.1, o.interval); }},
    {nullptr, nullptr, "requests", nullptr},
    {"--http", "1|2", "the protocol (1)",
     [](O& o, S& v) {
       return one_of<int>(v, {{"1", 1}, {"2", 2}}, o.http);
     }},
    {"--path", "PATH", "what is asked for (/)",
     [](O& o, S& v) -> Complaint {
       if (!v.starts_with('/')) return "a path that begins with /";
       return some_text(v, o.path);
     }},
    {"--streams", "N", "HTTP/2: requests at a time on each connection (1)",
     [](O& o, S& v) { return integer(v, 1, 10'000, o.streams); }},
    {"--body", "BYTES", "of each request: POST (0: GET)",
     [](O& o, S& v) { return integer(v, 0, 1u << 30, o.body); }},
    {"--expect-bytes", "BYTES", "of each answer's body: another length is a failure",
     [](O& o, S& v) { return integer(v, 0, 1ull << 40, o.answer_bytes); }},
    {"--plain", nullptr, "proxy: HTTP/1.1 without TLS",
     [](O& o, S&) -> Complaint { return o.tls.plain = true, std::nullopt; }},
    {"--close", nullptr, "one request a connection",
     [](O& o, S&) -> Complaint { return o.close_each = true, std::nullopt; }},
    {"--request", nullptr, "idle: each connection makes one request before it rests",
     [](O& o, S&) -> Complaint { return o.request_once = true, std::nullopt; }},
    {nullptr, nullptr, "TLS", nullptr},
    {"--tls", "1.2|1.3", "the version, and no other (1.3)",
     [](O& o, S& v) {
       using V = TlsSettings::Version;
       return one_of<V>(v, {{"1.2", V::kTls12}, {"1.3", V::kTls13}}, o.tls.version);
     }},
    {"--groups", "LIST", "key exchange, such as X25519:P-256 (the TLS library's own)",
     [](O& o, S& v) { return some_text(v, o.tls.groups); }},
    {"--ciphers", "LIST", "of TLS 1.2, by OpenSSL's names",
     [](O& o, S& v) { return some_text(v, o.tls.ciphers); }},
    {"--alpn", "LIST", "protocols to offer, such as h2,http/1.1",
     [](O& o, S& v) { return some_text(v, o.tls.alpn); }},
    {"--ca", "FILE", "roots (PEM): certificates are verified; without it nobody looks at them",
     [](O& o, S& v) { return some_text(v, o.tls.ca_file); }},
    {"--resume", nullptr, "handshake: fetch a ticket for each name first, then resume",
     [](O& o, S&) -> Complaint { return o.resume = true, std::nullopt; }},
    {"--end", "HOW",
     "close-notify (the default: with our last flight, then the server hangs up), fin, or reset "
     "(the server may never process the end of the handshake)",
     [](O& o, S& v) {
       using E = TlsSettings::Ending;
       return one_of<E>(v,
                        {{"close-notify", E::kCloseNotify}, {"fin", E::kFin}, {"reset", E::kReset}},
                        o.tls.ending);
     }},
    {"--sources", "N", "connect from N networks (/24) of 127.0.0.0/8, in turn (1)",
     [](O& o, S& v) { return integer(v, 1, 1'000'000, o.tls.sources); }},
    {nullptr, nullptr, "measuring", nullptr},
    {"--server-pid", "PID[,PID]", "the server's processes: their CPU time and memory",
     [](O& o, S& v) { return pids(v, o.server_pids); }},
    {"--threads", "T", "of the client (1)",
     [](O& o, S& v) { return integer(v, 1, 256, o.threads); }},
    {"--cpu", "N", "run on core N alone; --threads T: on T cores from N on",
     [](O& o, S& v) { return integer(v, 0, 4095, o.cpu); }},
    {nullptr, nullptr, "output", nullptr},
    {"--json", "FILE|-", "the measurement as JSON",
     [](O& o, S& v) { return some_text(v, o.json_file); }},
    {"--html", "FILE", "the measurement as a page with plots",
     [](O& o, S& v) { return some_text(v, o.html_file); }},
    {"--quiet", nullptr, "no progress bar",
     [](O& o, S&) -> Complaint { return o.quiet = true, std::nullopt; }},
    {nullptr, nullptr, "safety", nullptr},
    {"--i-own-this-target", nullptr, "the target is no loopback address, and load is welcome there",
     [](O& o, S&) -> Complaint { return o.own_target = true, std::nullopt; }},
    {"--help", nullptr, "this text",
     [](O& o, S&) -> Complaint { return o.help = true, std::nullopt; }},
};

const Flag* find(const std::string& name) {
  for (const Flag& flag : kFlags) {
    if (flag.name != nullptr && name == flag.name) return &flag;
  }
  return nullptr;
}

Error invalid(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

}  // namespace

Result<Options> parse_options(const std::vector<std::string>& arguments) {
  Options options;
  options.flood_names.kind = Kind::kNone;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("-")) {
      if (!options.scenario.empty()) {
        return invalid("expected one scenario, got \"" + options.scenario + "\" and \"" + argument +
                       "\"");
      }
      options.scenario = argument;
      continue;
    }
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const Flag* flag = find(name == "-h" ? "--help" : name);
    if (flag == nullptr) return invalid("unknown option " + name + "; --help shows them all");
    std::string value;
    if (flag->value == nullptr) {
      if (equals != std::string::npos) return invalid(name + " takes no value");
    } else if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (++i < arguments.size()) {
      value = arguments[i];
    } else {
      return invalid(name + ": expected " + flag->value + " behind it");
    }
    if (const Complaint expected = flag->apply(options, value)) {
      return invalid(name + ": expected " + *expected + ", got \"" + value + "\"");
    }
  }
  if (options.names.kind == Kind::kRange && options.names.count == 0) options.names.count = 1000;
  return options;
}

std::string options_help() {
  constexpr size_t kColumn = 28;
  std::string text;
  for (const Flag& flag : kFlags) {
    if (flag.name == nullptr) {
      text += std::string("\n") + flag.help + "\n";
      continue;
    }
    std::string left = std::string("  ") + flag.name;
    if (flag.value != nullptr) left += std::string(" ") + flag.value;
    if (left.size() < kColumn) left.resize(kColumn, ' ');
    text += left + " " + flag.help + "\n";
  }
  return text;
}

}  // namespace latchkey::bench

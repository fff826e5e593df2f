#include "bench/report/measurement.h"

#include <algorithm>
#include <cmath>

#include "bench/report/json_fields.h"

namespace latchkey::bench {
namespace {

constexpr const char* kSchema = "latchkey-bench/1";

std::string histogram_json(const Histogram& histogram) {
  std::string buckets = "[";
  for (const auto& [upper, count] : histogram.buckets()) {
    if (buckets.size() > 1) buckets += ',';
    buckets += "[" + json_number(upper) + "," + json_number(count) + "]";
  }
  return JsonObject()
      .raw("count", json_number(histogram.count()))
      .raw("min", json_number(histogram.min()))
      .raw("mean", json_number(histogram.mean()))
      .raw("p50", json_number(histogram.quantile(0.5)))
      .raw("p90", json_number(histogram.quantile(0.9)))
      .raw("p99", json_number(histogram.quantile(0.99)))
      .raw("p999", json_number(histogram.quantile(0.999)))
      .raw("max", json_number(histogram.max()))
      .raw("buckets", buckets + "]")
      .str();
}

std::string server_json(const Measurement& measurement) {
  const Measurement::Server& server = *measurement.server;
  return JsonObject()
      .raw("cpu_seconds", json_number(server.cpu_seconds))
      .raw("cpu_us_per_operation", json_number(measurement.server_cpu_us_per_operation()))
      .raw("rss_before", json_number(server.rss_before))
      .raw("rss_after", json_number(server.rss_after))
      .str();
}

std::string slice_json(const Measurement::Slice& slice) {
  return JsonObject()
      .raw("at", json_number(slice.at))
      .raw("done", json_number(slice.done))
      .raw("failed", json_number(slice.failed))
      .raw("p50_us", json_number(slice.p50_us))
      .raw("p99_us", json_number(slice.p99_us))
      .str();
}

Histogram read_histogram(const JsonValue& value, const std::string& path, Complaints& complaints) {
  Fields fields(value, path, complaints);
  for (const char* key : {"p50", "p90", "p99", "p999"}) fields.derived(key);
  const uint64_t count = fields.count("count");
  const uint64_t min = fields.count("min"), max = fields.count("max");
  const double mean = fields.number("mean");
  std::vector<std::pair<uint64_t, uint64_t>> buckets;
  uint64_t in_buckets = 0;
  if (const JsonValue* list = fields.array("buckets")) {
    for (const JsonValue& bucket : list->items) {
      const std::string here = fields.path_of("buckets");
      if (bucket.items.size() != 2) {
        complaints.add(here, "expected [upper, count], got " + json_show(bucket));
        break;
      }
      buckets.emplace_back(count_of(bucket.items[0], here, complaints),
                           count_of(bucket.items[1], here, complaints));
      in_buckets += buckets.back().second;
    }
  }
  if (in_buckets != count) {
    complaints.add(path, "count is " + std::to_string(count) + ", but the buckets hold " +
                             std::to_string(in_buckets));
  }
  if (min > max) complaints.add(path, "min is above max");
  if (!complaints.empty()) return {};
  // Values are whole microseconds, so is their sum: what the division took away comes back.
  return Histogram::from_buckets(buckets, min, max, std::round(mean * static_cast<double>(count)));
}

Measurement::Server read_server(const JsonValue& value, const std::string& path,
                                Complaints& complaints) {
  Fields fields(value, path, complaints);
  fields.derived("cpu_us_per_operation");
  Measurement::Server server;
  server.cpu_seconds = fields.number("cpu_seconds");
  server.rss_before = fields.count("rss_before");
  server.rss_after = fields.count("rss_after");
  return server;
}

Measurement::Slice read_slice(const JsonValue& value, const std::string& path,
                              Complaints& complaints) {
  Fields fields(value, path, complaints);
  Measurement::Slice slice;
  slice.at = fields.number("at");
  slice.done = fields.count("done");
  slice.failed = fields.count("failed");
  slice.p50_us = fields.number("p50_us");
  slice.p99_us = fields.number("p99_us");
  return slice;
}

void read_series(Fields& fields, Measurement& out, Complaints& complaints) {
  const JsonValue* list = fields.array("series");
  if (list == nullptr) return;
  for (size_t i = 0; i < list->items.size(); ++i) {
    const std::string path = fields.path_of("series") + "[" + std::to_string(i) + "]";
    out.series.push_back(read_slice(list->items[i], path, complaints));
  }
}

// The members of the object under `key` are names that the scenario chose.
template <typename Map, typename Read>
void read_map(Fields& fields, const char* key, Map& out, Complaints& complaints, Read read) {
  const JsonValue* object = fields.object(key);
  if (object == nullptr) return;
  for (const auto& [name, value] : object->members) {
    out.emplace(name, read(value, fields.path_of(key) + "." + name, complaints));
  }
}

void read_all(const JsonValue& document, Measurement& out, Complaints& complaints) {
  Fields fields(document, "", complaints);
  fields.schema(kSchema);
  fields.derived("rate");
  out.scenario = fields.text("scenario");
  out.target = fields.text("target");
  out.command = fields.texts("command");
  out.started = fields.text("started");
  out.seconds = fields.number("seconds");
  out.started_operations = fields.count("started_operations");
  out.done = fields.count("done");
  out.failed = fields.count("failed");
  out.resumed = fields.count("resumed");
  read_map(fields, "latency_us", out.latency, complaints, read_histogram);
  read_map(fields, "errors", out.errors, complaints, count_of);
  if (const JsonValue* value = fields.object("bytes")) {
    Fields bytes(*value, fields.path_of("bytes"), complaints);
    out.bytes_in = bytes.count("in");
    out.bytes_out = bytes.count("out");
  }
  if (const JsonValue* value = fields.optional_object("server")) {
    out.server = read_server(*value, fields.path_of("server"), complaints);
  }
  if (const JsonValue* value = fields.object("client")) {
    Fields client(*value, fields.path_of("client"), complaints);
    out.client_cpu_seconds = client.number("cpu_seconds");
  }
  read_series(fields, out, complaints);
  read_map(fields, "facts", out.facts, complaints, number_of);
}

}  // namespace

std::string to_json(const Measurement& m) {
  JsonObject latency, errors, facts;
  for (const auto& [name, histogram] : m.latency) latency.raw(name, histogram_json(histogram));
  for (const auto& [kind, count] : m.errors) errors.raw(kind, json_number(count));
  for (const auto& [name, value] : m.facts) {
    if (std::isfinite(value)) facts.raw(name, json_number(value));
  }
  std::string series = "[";
  for (const Measurement::Slice& slice : m.series) {
    if (series.size() > 1) series += ',';
    series += slice_json(slice);
  }

  JsonObject out;
  out.text("schema", kSchema)
      .text("scenario", m.scenario)
      .text("target", m.target)
      .raw("command", json_strings(m.command))
      .text("started", m.started)
      .raw("seconds", json_number(m.seconds))
      .raw("started_operations", json_number(m.started_operations))
      .raw("done", json_number(m.done))
      .raw("failed", json_number(m.failed))
      .raw("rate", json_number(m.rate()))
      .raw("resumed", json_number(m.resumed))
      .raw("latency_us", latency.str())
      .raw("errors", errors.str())
      .raw("bytes", JsonObject()
                        .raw("in", json_number(m.bytes_in))
                        .raw("out", json_number(m.bytes_out))
                        .str());
  if (m.server) out.raw("server", server_json(m));
  out.raw("client", JsonObject().raw("cpu_seconds", json_number(m.client_cpu_seconds)).str())
      .raw("series", series + "]")
      .raw("facts", facts.str());
  return out.str() + "\n";
}

Result<Measurement> parse_measurement(std::string_view json) {
  auto document = parse_json(json);
  if (!document) return std::move(document).error();
  Measurement measurement;
  Complaints complaints;
  read_all(*document, measurement, complaints);
  if (!complaints.empty()) return Error{ErrorCode::kInvalid, complaints.first()};
  return measurement;
}

}  // namespace latchkey::bench

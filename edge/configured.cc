#include "edge/configured.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <tuple>

#include "base/pool.h"
#include "edge/configured_scan.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr Millis kInterval = 500ms, kLongestInterval = 10s;
constexpr int kDuty = 20;              // looks take at most a twentieth of a thread's time
constexpr Millis kRetry = 60s;         // of what could not be read, whatever its files look like
constexpr Millis kDates = 1h;          // between looks at dates
constexpr int kAbsentLooks = 2;        // before a pair is let go
constexpr size_t kMaxNamesShown = 10;  // of a certificate, in a log line

struct TimedScan {
  ConfiguredScan scan;
  Millis took{0};
};

std::string names_shown(const Certificate& certificate) {
  std::string out;
  const std::vector<std::string>& names = certificate.names();
  for (size_t i = 0; i < std::min(names.size(), kMaxNamesShown); ++i) {
    out += (i == 0 ? "" : ", ") + names[i];
  }
  if (names.size() > kMaxNamesShown) {
    out += " and " + std::to_string(names.size() - kMaxNamesShown) + " more";
  }
  return out;
}

bool same(const CertificatePtr& one, const CertificatePtr& other) {
  return one != nullptr && other != nullptr && one->same_leaf(*other) &&
         one->chain_der() == other->chain_der();
}

}  // namespace

struct Configured::Impl {
  enum class Dates { kGood, kSoon, kExpired };

  // A pair, by what is known of it.
  struct Known {
    size_t source = 0;
    Settling settling{""};
    CertificatePtr certificate{};  // served; null: none yet
    bool troubled = false;         // its files could not be used when they were last read
    std::string trouble{};         // that was said of these files
    std::optional<TimePoint> retry_at{};
    int absent = 0;             // looks in a row that did not find it
    Dates said = Dates::kGood;  // of the certificate
  };
  using Read = std::pair<Pair, Result<CertificatePtr>>;

  Impl(uv_loop_t& l, Clock& c, Log& g, Changed f)
      : loop(l), clock(c), log(g), changed(std::move(f)) {}

  void first_look();
  Task<> watch();
  std::vector<Pair> judge(const ConfiguredScan& scan);
  void complain(const ConfiguredScan& scan, bool at_once);
  void take(Read read);
  void say(const Pair& pair, const Known& known, const CertificatePtr& before);
  void fail(const Pair& pair, Known& known, const Error& error);
  void look_at_dates(const Pair& pair, Known& known);
  void look_at_all_dates();
  void tell(bool always);
  std::vector<Pair> pairs() const;

  uv_loop_t& loop;
  Clock& clock;
  Log& log;
  const Changed changed;

  std::shared_ptr<const std::vector<ConfiguredSource>> sources;  // null: before the first set()
  std::map<Pair, Known> known;
  std::vector<std::pair<Pair, CertificatePtr>> told;
  std::set<std::string> complaints, said_complaints;  // of the last look; those that were logged
  TimePoint dates_at{};
  Task<> watching;
};

std::vector<Configured::Pair> Configured::Impl::pairs() const {
  std::vector<Pair> out;
  out.reserve(known.size());
  for (const auto& [pair, one] : known) out.push_back(pair);
  return out;
}

// In this thread: nothing is served yet.
void Configured::Impl::first_look() {
  const ConfiguredScan scan = scan_configured(*sources, {});
  complain(scan, true);
  for (const ConfiguredScan::Entry& entry : scan.entries) {
    known[entry.pair] = {.source = entry.source, .settling = Settling(entry.print)};
    take({entry.pair, read_pair(entry.pair)});
  }
  if (!scan.entries.empty()) {
    const auto good = std::count_if(known.begin(), known.end(), [](const auto& one) {
      return one.second.certificate != nullptr;
    });
    log.info("configured_certificates",
             std::to_string(good) + " configured certificates are served, " +
                 std::to_string(known.size() - static_cast<size_t>(good)) + " cannot be used");
  }
  dates_at = clock.now() + kDates;
  tell(true);
}

Task<> Configured::Impl::watch() {
  Millis wait = kInterval;
  for (;;) {
    co_await sleep(clock, wait);
    std::function<Result<TimedScan>()> looking = [from = sources,
                                                  before = pairs()]() -> Result<TimedScan> {
      const auto begin = std::chrono::steady_clock::now();
      TimedScan out{scan_configured(*from, before)};
      out.took = std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - begin);
      return out;
    };
    Task<TimedScan> look = in_pool(loop, std::move(looking));
    const TimedScan seen = co_await std::move(look);
    wait = std::clamp(seen.took * kDuty, kInterval, kLongestInterval);

    const std::vector<Pair> due = judge(seen.scan);
    if (!due.empty()) {
      // Not older than what was seen: what changes from here on, the next look shows.
      std::function<Result<std::vector<Read>>()> reading = [due]() -> Result<std::vector<Read>> {
        std::vector<Read> reads;
        reads.reserve(due.size());
        for (const Pair& pair : due) reads.emplace_back(pair, read_pair(pair));
        return reads;
      };
      Task<std::vector<Read>> job = in_pool(loop, std::move(reading));
      std::vector<Read> reads = co_await std::move(job);
      for (Read& read : reads) take(std::move(read));
    }
    look_at_all_dates();
    tell(false);
  }
}

// The pairs that are to be read.
std::vector<Configured::Pair> Configured::Impl::judge(const ConfiguredScan& scan) {
  complain(scan, false);
  std::vector<Pair> due;
  for (auto& [pair, one] : known) ++one.absent;
  for (const ConfiguredScan::Entry& entry : scan.entries) {
    Known& one = known[entry.pair];
    one.source = entry.source;
    one.absent = 0;
    bool read = one.retry_at && clock.now() >= *one.retry_at;
    if (one.settling.look(entry.print)) {
      one.trouble.clear();
      read = true;
    }
    if (!read) continue;
    due.push_back(entry.pair);
    one.retry_at = clock.now();  // until it was taken: a new configuration ends the reading
  }
  std::erase_if(known, [&](const auto& item) {
    const auto& [pair, one] = item;
    if (one.absent < kAbsentLooks) return false;
    log.warning("configured_released",
                pair.cert.string() + " is gone, with all that was beside it: " +
                    (one.certificate == nullptr ? "there is nothing to serve"
                                                : "its certificate is not served any more"),
                {{"file", pair.cert.string()},
                 {"names", one.certificate == nullptr ? "" : names_shown(*one.certificate)}});
    return true;
  });
  return due;
}

// Says what is wrong with folders once, and once it has been so for two looks.
void Configured::Impl::complain(const ConfiguredScan& scan, bool at_once) {
  std::set<std::string> now(scan.complaints.begin(), scan.complaints.end());
  std::erase_if(said_complaints, [&](const std::string& one) { return !now.contains(one); });
  for (const std::string& one : now) {
    if (!at_once && !complaints.contains(one)) continue;
    if (said_complaints.insert(one).second) log.warning("configured_folder", one);
  }
  complaints = std::move(now);
}

void Configured::Impl::take(Read read) {
  const auto& [pair, result] = read;
  const auto found = known.find(pair);
  if (found == known.end()) return;  // let go meanwhile
  Known& one = found->second;
  one.retry_at.reset();
  if (!result) {
    fail(pair, one, result.error());
    return;
  }
  const bool mended = std::exchange(one.troubled, false);
  one.trouble.clear();
  if (same(one.certificate, *result)) {
    if (mended) {
      log.info("configured_certificate",
               pair.cert.string() + " can be used again, and is as it was",
               {{"file", pair.cert.string()}});
    }
    return;
  }
  const CertificatePtr before = std::exchange(one.certificate, *result);
  one.said = Dates::kGood;
  say(pair, one, before);
  look_at_dates(pair, one);
}

void Configured::Impl::say(const Pair& pair, const Known& one, const CertificatePtr& before) {
  const Certificate& now = *one.certificate;
  const std::string what = before == nullptr ? "a certificate of " : "the new certificate of ";
  log.info("configured_certificate", what + pair.cert.string() + " is served from now on",
           {{"file", pair.cert.string()},
            {"names", names_shown(now)},
            {"serial", now.serial()},
            {"not_after", iso_time(now.not_after())},
            {"replaces", before == nullptr ? "" : before->serial()}});
  if (const std::string odd = oddity_of(now); !odd.empty()) {
    log.warning("configured_certificate_odd", pair.cert.string() + ": " + odd,
                {{"file", pair.cert.string()}});
  }
}

void Configured::Impl::fail(const Pair& pair, Known& one, const Error& error) {
  one.troubled = true;
  one.retry_at = clock.now() + kRetry;
  if (one.trouble == error.message) return;  // said of these files
  one.trouble = error.message;
  const bool kept = one.certificate != nullptr;
  const std::string text =
      error.message +
      (kept ? "; the certificate that was read before is served on" : "; nothing is served for it");
  if (kept && error.code == ErrorCode::kNotFound) {
    log.warning("configured_missing", text, {{"file", pair.cert.string()}});
  } else {
    log.error("configured_unusable", text, {{"file", pair.cert.string()}});
  }
}

void Configured::Impl::look_at_dates(const Pair& pair, Known& one) {
  if (one.certificate == nullptr) return;
  const Certificate& now = *one.certificate;
  const auto left = now.not_after() - clock.wall_now();
  const auto life = now.not_after() - now.not_before();
  const auto soon = std::min<std::chrono::seconds>(24h * 7, life / 3);
  const Dates dates = left <= 0s ? Dates::kExpired : left <= soon ? Dates::kSoon : Dates::kGood;
  if (dates <= one.said) return;
  one.said = dates;
  log.warning(
      dates == Dates::kExpired ? "configured_expired" : "configured_expires",
      "the certificate of " + pair.cert.string() +
          (dates == Dates::kExpired ? " has expired, and is served on: replace its files"
                                    : " expires soon: it is its files' owner who renews it"),
      {{"file", pair.cert.string()},
       {"names", names_shown(now)},
       {"not_after", iso_time(now.not_after())}});
}

void Configured::Impl::look_at_all_dates() {
  if (clock.now() < dates_at) return;
  dates_at = clock.now() + kDates;
  for (auto& [pair, one] : known) look_at_dates(pair, one);
}

void Configured::Impl::tell(bool always) {
  struct Place {
    size_t source;
    bool folder;
    const Pair* pair;
    CertificatePtr certificate;
  };
  std::vector<Place> places;
  places.reserve(known.size());
  for (const auto& [pair, one] : known) {
    if (one.certificate == nullptr) continue;
    const bool folder = !(*sources)[one.source].dir.empty();
    places.push_back({one.source, folder, &pair, one.certificate});
  }
  // In a folder the one that ends last comes last.
  std::stable_sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    if (a.source != b.source) return a.source < b.source;
    return a.folder && a.certificate->not_after() < b.certificate->not_after();
  });
  std::vector<std::pair<Pair, CertificatePtr>> now;
  now.reserve(places.size());
  for (Place& place : places) now.emplace_back(*place.pair, std::move(place.certificate));
  if (!always && now == told) return;
  told = std::move(now);
  std::vector<ConfiguredCertificate> all;
  all.reserve(told.size());
  for (const auto& [pair, certificate] : told) all.push_back({certificate, pair.cert.string()});
  changed(std::move(all));
}

Configured::Configured(uv_loop_t& loop, Clock& clock, Log& log, Changed changed)
    : impl_(std::make_unique<Impl>(loop, clock, log, std::move(changed))) {}

Configured::~Configured() {
  impl_->watching = {};
}

void Configured::set(const Config& config) {
  Impl& impl = *impl_;
  impl.watching = {};  // it goes by the sources from before
  const bool first = impl.sources == nullptr;
  impl.sources = std::make_shared<const std::vector<ConfiguredSource>>(configured_sources(config));
  const auto& sources = *impl.sources;
  if (first) {
    impl.first_look();
  } else {
    for (auto& [pair, one] : impl.known) {
      const auto holds = [&, &mine = pair](const ConfiguredSource& source) {
        return source.holds(mine);
      };
      one.source = static_cast<size_t>(std::find_if(sources.begin(), sources.end(), holds) -
                                       sources.begin());
    }
    std::erase_if(impl.known, [&](const auto& item) {
      if (item.second.source < sources.size()) return false;
      impl.log.info("configured_released",
                    item.first.cert.string() + " is not in the configuration any more",
                    {{"file", item.first.cert.string()}});
      return true;
    });
    impl.tell(false);
  }
  if (sources.empty()) return;
  impl.watching = impl.watch();
  impl.watching.start();
}

size_t Configured::size() const {
  return impl_->told.size();
}

}  // namespace latchkey::edge

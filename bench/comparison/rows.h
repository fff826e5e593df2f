#pragma once
#include <string_view>
#include <vector>

#include "bench/comparison/lab.h"
#include "bench/report/comparison.h"

namespace latchkey::bench {

// A row that can be measured. Some are measured together: `measure` is then that of their group,
// and is called once, for the first of them that is wanted.
struct RowPlan {
  std::string_view id;
  std::vector<Row> (*measure)(Lab& lab);
};

// All of them, in the order of the report.
const std::vector<RowPlan>& row_plans();

// A file each; every one gives rows of the ids that row_plans() names for it, in their order, and
// those that were not asked for (CompareOptions::wants) may be missing.
std::vector<Row> measure_cpu(Lab& lab);     // handshakes and requests on kept connections
std::vector<Row> measure_memory(Lab& lab);  // of connections
std::vector<Row> measure_cached(Lab& lab);  // many names in memory
std::vector<Row> measure_first(Lab& lab);   // the first handshakes of new names, one by one
std::vector<Row> measure_new(Lab& lab);     // ... at once
std::vector<Row> measure_herds(Lab& lab);   // many clients for one new name
std::vector<Row> measure_denials(Lab& lab);
std::vector<Row> measure_waiting_names(Lab& lab);  // what cached names notice of them
std::vector<Row> measure_starts(Lab& lab);         // with many stored certificates
std::vector<Row> measure_resting(Lab& lab);        // beside idle connections

}  // namespace latchkey::bench

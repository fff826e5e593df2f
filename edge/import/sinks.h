#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "edge/config.h"
#include "edge/import/run.h"

namespace latchkey::edge {

// To the process that listens on an admin socket (POST /certificates:import).
std::unique_ptr<ImportSink> make_admin_sink(std::string socket);

// Right into the store of a state folder, which is locked meanwhile. By root, files that are made
// there belong to the folder's owner afterwards. The error says who else has the lock, or what is
// wrong with folder or store.
Result<std::unique_ptr<ImportSink>> make_store_sink(const Config& config, Log& log);

// Only for dry runs: compares with what is stored, if there is a store, and locks and writes
// nothing.
Result<std::unique_ptr<ImportSink>> make_dry_sink(const Config& config, Log& log);

}  // namespace latchkey::edge

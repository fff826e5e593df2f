#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

namespace latchkey::edge {

// Looks for folders with a file of that name in `top` and below, as programs keep accounts:
// HOST/PATH.../ID. Depth and number are bounded: links may go in circles. `found` gets each folder
// and its place below `top` ("HOST/PATH"), or, for one that cannot be read, the error's text, and
// returns false to stop.
void find_account_folders(
    const std::filesystem::path& top, std::string_view key_file,
    const std::function<bool(const std::filesystem::path& folder, const std::string& place)>& found,
    const std::function<bool(const std::filesystem::path& folder, const std::string& why)>&
        unreadable);

}  // namespace latchkey::edge

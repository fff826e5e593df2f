#pragma once
#include <string>
#include <string_view>

namespace latchkey::edge {

// Programs that name folders after a CA's directory URL lose parts of it; the URL of an account or
// certificate of that CA tells the rest. `url`: such a URL, or "" ("https" is assumed then).

// certbot's and acme.sh's folders, from "HOST/PATH": the scheme is lost, in acme.sh's the port,
// too.
std::string directory_from_path(std::string_view path, std::string_view url);

// Caddy's issuer key, "acme-v02.api.letsencrypt.org-directory": ':' and '/' have become '-', and
// capitals small. "" when `url` is needed (the host may have '-' itself) and not of that CA.
std::string directory_from_caddy_key(std::string_view key, std::string_view url);

// The same directory, as far as a URL that was kept that way can tell: capitals and a slash at the
// end do not count.
bool same_directory(std::string_view a, std::string_view b);

}  // namespace latchkey::edge

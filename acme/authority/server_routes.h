#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "acme/order.h"

namespace latchkey::acme {

// What a URL of the server is about.
struct ServerRoute {
  enum class Kind {
    kNothing,  // there is nothing at that URL
    kDirectory,
    kNewNonce,
    kNewAccount,
    kNewOrder,
    kRevokeCert,
    kKeyChange,
    kRenewalInfo,    // id: RFC 9773's
    kAccount,        // id
    kOrders,         // id: the account's; after: of the page
    kOrder,          // id
    kFinalize,       // id: the order's
    kAuthorization,  // id: the order's; index
    kChallenge,      // id: the order's; index: the authorization's; type
    kCertificate,    // id: the serial; index: of the chain
  };
  Kind kind = Kind::kNothing;
  std::string base;  // "https://ca.example:8443/acme/local"
  std::string id{};
  size_t index = 0;
  ChallengeType type = ChallengeType::kHttp01;
  std::string after{};
};

// `url`: whole, as the client asked for it. Without a `base` where it is not the authority's of
// that name.
ServerRoute parse_route(std::string_view url, std::string_view authority);

std::string account_url(std::string_view base, std::string_view id);
std::string orders_url(std::string_view base, std::string_view account, std::string_view after);
std::string order_url(std::string_view base, std::string_view id);
std::string finalize_url(std::string_view base, std::string_view order);
std::string authorization_url(std::string_view base, std::string_view order, size_t index);
std::string challenge_url(std::string_view base, std::string_view order, size_t index,
                          ChallengeType type);
std::string certificate_url(std::string_view base, std::string_view serial, size_t index = 0);
// The account's id in a URL under `base`, or "".
std::string account_of_url(std::string_view base, std::string_view url);
// The directory's document (RFC 8555, 7.1.1).
std::string directory_document(std::string_view base, bool external_account_required);

}  // namespace latchkey::acme

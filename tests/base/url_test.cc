#include "base/url.h"

#include <gtest/gtest.h>

#include <utility>

namespace latchkey {
namespace {

TEST(UrlTest, IsShownWithoutItsSecrets) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"http://a.test", "http://a.test"},
      {"http://a.test:80/x/y", "http://a.test:80/x/y"},
      {"http://a.test/x?key=s3cret", "http://a.test/x?..."},
      {"http://a.test/x#s3cret", "http://a.test/x#..."},
      {"http://u:s3cret@a.test/x", "http://...@a.test/x"},
      {"http://u:s3@cret@a.test/x", "http://...@a.test/x"},
      {"http://u:s3/cret@a.test/x", "http://...@a.test/x"},
      {"http://u:s3cret@a.test/x?k=s3cret", "http://...@a.test/x?..."},
      {"http://u:s3?cret@a.test/x", "http://..."},
      {"http://u:s3#cret@a.test", "http://..."},
      {"u:s3cret@a.test", "...@a.test"},
      {"s3cret@x://a.test", "...@x://a.test"},
      {"[::1]:80", "[::1]:80"},
      {"http:\\\\u:s3cret@a.test", "...@a.test"},
      {"http://u:s3?c@ret@a.test?k=s3cret", "http://..."},
      {"http://a.test/x?mail=me@s3cret", "http://..."},
      {"http://u:s3cret@", "http://...@"},
      {"@", "...@"},
      {"?s3cret", "?..."},
      {"http://...@a.test/x?...", "http://...@a.test/x?..."},
  };
  for (const auto& [url, shown] : cases) EXPECT_EQ(url_without_secrets(url), shown) << url;
}

}  // namespace
}  // namespace latchkey

#include "tests/support/caddy_tree.h"

#include "tests/support/temp_folder.h"

namespace latchkey::test {
namespace {

std::string name_of(size_t index) {
  return "n" + std::to_string(index) + ".test";
}

}  // namespace

std::filesystem::path caddy_tree_entry(const std::filesystem::path& folder, size_t index) {
  return folder / "certificates/ca.test-directory" / name_of(index);
}

void make_caddy_tree(const std::filesystem::path& folder, const TestCa& ca, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    const std::string name = name_of(i);
    const PrivateKey key = generate_p256_key();
    const auto entry = caddy_tree_entry(folder, i);
    std::filesystem::create_directories(entry);
    write_text(entry / (name + ".crt"), ca.issue_pem({name}, key));
    write_text(entry / (name + ".key"), private_key_pem(key));
    write_text(entry / (name + ".json"), "{\"sans\":[\"" + name +
                                             "\"],\"issuer_data\":{\"url\":"
                                             "\"https://ca.test/certificate/" +
                                             std::to_string(i) + "\"}}");
  }
}

}  // namespace latchkey::test

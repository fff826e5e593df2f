#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace latchkey::test {

// A look into the edge's SQLite file from outside.
class StoreFile {
 public:
  explicit StoreFile(std::filesystem::path database) : database_(std::move(database)) {}

  bool sound() const;  // SQLite's own integrity check passes
  size_t certificates() const;
  std::vector<std::string> names() const;       // that have a certificate
  void forget(const std::string& name);         // deletes its certificate, behind the edge's back
  std::vector<std::string> row_counts() const;  // "certificate 17", a table each
  // The first column of each row.
  std::vector<std::string> query(const std::string& sql) const;
  // Do these bytes occur in its files?
  bool contains(std::string_view bytes) const;

 private:
  std::filesystem::path database_;
};

}  // namespace latchkey::test

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cache/pem.h"
#include "edge/configured.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::Not;

class ReadPairTest : public testing::Test {
 protected:
  void write(const std::string& chain_text, const std::string& key_text) {
    test::write_text(pair.cert, chain_text);
    test::write_text(pair.key, key_text);
  }
  std::string why() {
    const auto read = read_pair(pair);
    return read ? "" : read.error().message;
  }
  // What openssl would not say either: nothing of a key is in a message.
  std::string good_key() const { return latchkey::private_key_pem(key); }

  test::TempFolder folder;
  const TestCa ca;
  const PrivateKey key = generate_p256_key();
  const std::string chain = ca.issue_pem({"a.test"}, key);
  const Configured::Pair pair{folder / "fullchain.pem", folder / "privkey.pem"};
};

TEST_F(ReadPairTest, AGoodPairIsRead) {
  write(chain, good_key());
  const auto read = read_pair(pair);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ((*read)->names(), std::vector<std::string>{"a.test"});
  EXPECT_EQ((*read)->chain().size(), 2u);
  EXPECT_EQ(oddity_of(**read), "");
}

TEST_F(ReadPairTest, OneFileMayHoldBoth) {
  write(chain + good_key(), good_key() + chain);
  EXPECT_EQ(why(), "");
}

TEST_F(ReadPairTest, AMissingFileIsNamed) {
  test::write_text(pair.cert, chain);
  EXPECT_EQ(why(), "cannot read " + pair.key.string() + ": No such file or directory");
}

TEST_F(ReadPairTest, AFileThatMayNotBeReadNamesTheRemedy) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  write(chain, good_key());
  ::chmod(pair.key.c_str(), 0);
  EXPECT_THAT(why(), HasSubstr("the service's user must be allowed to read it"));
}

TEST_F(ReadPairTest, WhatIsNoFileIsNotRead) {
  write(chain, good_key());
  ::unlink(pair.key.c_str());
  ASSERT_EQ(::mkfifo(pair.key.c_str(), 0600), 0);  // reading it would never end
  EXPECT_EQ(why(), pair.key.string() + " is not a file");
}

TEST_F(ReadPairTest, AKeyOfAnotherCertificateIsRefused) {
  write(chain, latchkey::private_key_pem(generate_p256_key()));
  EXPECT_THAT(why(), HasSubstr("does not belong to the private key"));
  EXPECT_THAT(why(), HasSubstr(pair.cert.string() + " (with " + pair.key.string() + ")"));
}

TEST_F(ReadPairTest, AKeyOverACurveThatTlsDoesNotHaveIsRefused) {
  write(chain,
        "-----BEGIN PRIVATE KEY-----\n"
        "MHgCAQAwEAYHKoZIzj0CAQYFK4EEACEEYTBfAgEBBBxAtNbYrY5XMABOf/jLTAAB\n"
        "JS1ByysvmTI6hVeCoTwDOgAE+nJp13S7SN7Acw4PGsznL3heDVVy0TNkNZqvxSnG\n"
        "We3NuR4CbmiRZYVZuuZNOxcdz6FnfYvFNCw=\n"
        "-----END PRIVATE KEY-----\n");
  EXPECT_THAT(why(), HasSubstr("over a curve that TLS does not sign with"));
}

TEST_F(ReadPairTest, SwappedFilesAreSeen) {
  write(good_key(), chain);
  EXPECT_THAT(why(), HasSubstr("are cert_file and key_file swapped?"));
  EXPECT_THAT(why(), Not(HasSubstr("MI")));
  write(chain, chain);
  EXPECT_THAT(why(), HasSubstr("privkey.pem holds a certificate and no private key"));
}

TEST_F(ReadPairTest, AnEncryptedKeyIsSaidToBe) {
  write(chain,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
        "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgHxc9Ry5lWLwICCAAw\n"
        "DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEAAAAAAAAAAAAAAAAAAAAAAEgZAA\n"
        "-----END ENCRYPTED PRIVATE KEY-----\n");
  EXPECT_THAT(why(), HasSubstr("privkey.pem"));
  write(chain,
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
        "DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\n"
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
        "-----END EC PRIVATE KEY-----\n");
  EXPECT_THAT(why(), HasSubstr("the private key is encrypted"));
  EXPECT_THAT(why(), HasSubstr("openssl pkey -in " + pair.key.string()));
}

TEST_F(ReadPairTest, DerIsSaidToBe) {
  const CertificatePtr certificate = ca.issue({"a.test"});
  write(certificate->chain_der().front(), good_key());
  EXPECT_THAT(why(), HasSubstr("fullchain.pem is DER, not PEM; it is converted by: openssl x509"));
  write(chain, private_key_to_der(key));
  EXPECT_THAT(why(), HasSubstr("privkey.pem is DER, not PEM; it is converted by: openssl pkey"));
}

TEST_F(ReadPairTest, OtherThingsAreSaidToBeNone) {
  write("", good_key());
  EXPECT_EQ(why(), pair.cert.string() + " is empty");
  write("hello", good_key());
  EXPECT_THAT(why(), HasSubstr("holds no certificate in PEM"));
  write("-----BEGIN PKCS7-----\nMIIB\n-----END PKCS7-----\n", good_key());
  EXPECT_THAT(why(), HasSubstr("openssl pkcs7 -print_certs"));
  write(chain, "hello");
  EXPECT_THAT(why(), HasSubstr("holds no private key in PEM"));
  write(chain.substr(0, chain.size() / 2 + 100), good_key());
  EXPECT_THAT(why(), HasSubstr("fullchain.pem"));
  write(std::string(2 << 20, ' '), good_key());
  EXPECT_THAT(why(), HasSubstr("is longer than"));
}

TEST_F(ReadPairTest, ALeafThatIsNotTheFirstIsFound) {
  const auto certificate = Certificate::from_pem(chain, key);
  ASSERT_TRUE(certificate);
  const std::vector<std::string> der = (*certificate)->chain_der();
  write(certificate_pem(der[1]) + certificate_pem(der[0]), good_key());
  EXPECT_THAT(why(), HasSubstr("in the wrong order: the key belongs to its certificate 2"));
  write(ca.root_pem + certificate_pem(der[1]) + certificate_pem(der[0]), good_key());
  EXPECT_THAT(why(), HasSubstr("its certificate 3"));
}

TEST_F(ReadPairTest, IssuersInDisorderAreOddAndServed) {
  const auto certificate = Certificate::from_pem(chain, key);
  const std::vector<std::string> der = (*certificate)->chain_der();
  write(certificate_pem(der[0]) + ca.root_pem + certificate_pem(der[1]), good_key());
  const auto read = read_pair(pair);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(oddity_of(**read), HasSubstr("certificate 2 is not the issuer of certificate 1"));
  write(chain + ca.root_pem, good_key());
  EXPECT_EQ(oddity_of(**read_pair(pair)), "");
}

TEST_F(ReadPairTest, AnExpiredOneIsRead) {
  const auto now = TestCa::now();
  write(ca.issue_pem({"a.test"}, now - 48h, now - 24h, key), good_key());
  EXPECT_EQ(why(), "");
}

}  // namespace
}  // namespace latchkey::edge

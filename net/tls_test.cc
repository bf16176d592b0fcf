#include "net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "net/testing/fake_access.h"
#include "net/testing/raw_socket.h"
#include "net/testing/running_server.h"

namespace stepdb::tls_test {

using ::testing::HasSubstr;

// A certificate that signs itself. For the names in `names`, as OpenSSL writes them
// ("DNS:localhost,IP:127.0.0.1"); in files that go with it.
class TestCertificate {
  public:
    explicit TestCertificate(const std::string& directory, const std::string& names)
        : certificate_file_(directory + "/certificate.pem"), key_file_(directory + "/key.pem") {
        // What EVP_EC_gen() is a macro for, which casts a `const` away.
        EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
        X509* const certificate = X509_new();
        CHECK(key != nullptr && certificate != nullptr, "no key for a certificate");
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 24L * 3600);
        X509_set_pubkey(certificate, key);
        X509_NAME* const name = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("a test"), -1, -1, 0);
        X509_set_issuer_name(certificate, name);
        X509_EXTENSION* const extension =
            X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str());
        CHECK(extension != nullptr, "no names in '{}'", names);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
        CHECK(X509_sign(certificate, key, EVP_sha256()) != 0, "the certificate is not signed");
        write(certificate_file_, [&](FILE* file) { return PEM_write_X509(file, certificate); });
        write(key_file_, [&](FILE* file) {
            return PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        });
        X509_free(certificate);
        EVP_PKEY_free(key);
    }

    const std::string& certificate_file() const { return certificate_file_; }
    const std::string& key_file() const { return key_file_; }

  private:
    template <typename Write>
    static void write(const std::string& path, const Write& write) {
        FILE* const file = std::fopen(path.c_str(), "w");
        CHECK(file != nullptr && write(file) == 1, "cannot write {}", path);
        std::fclose(file);
    }

    std::string certificate_file_;
    std::string key_file_;
};

class Tls : public ::testing::Test {
  protected:
    Tls() {
        std::string name = ::testing::TempDir() + "stepdb-tls-XXXXXX";
        CHECK(mkdtemp(name.data()) != nullptr, "{}", name);
        directory_ = name;
        certificate_.emplace(directory_, "DNS:localhost,IP:127.0.0.1");
        options_ = test_options();
        options_.tls =
            TlsFiles::open(certificate_->certificate_file(), certificate_->key_file()).value();
    }
    ~Tls() override { std::filesystem::remove_all(directory_); }

    ClientOptions client_of(const RunningServer& server) const {
        ClientOptions options;
        options.port = const_cast<RunningServer&>(server).server().port();
        options.writer.bytes[0] = std::byte{1};
        options.tls.is_wanted = true;
        options.tls.ca_file = certificate_->certificate_file();
        return options;
    }
    std::string path(const std::string& name) const { return directory_ + "/" + name; }

    std::string directory_;
    std::optional<TestCertificate> certificate_;
    ServerOptions options_;
};

TEST_F(Tls, CarriesRowsAndAnswers) {
    RunningServer server(options_);
    for (const std::string host : {"127.0.0.1", "localhost"}) {
        ClientOptions options = client_of(server);
        options.host = host;
        const auto client = Client::connect(options);
        ASSERT_TRUE(client.has_value()) << client.error().to_string();
        uint64_t rows = 0;
        AnswerHandler handler;
        handler.on_block = [&](const ResultBlock& block) {
            rows += block.rows();
            return true;
        };
        // More than any buffer holds, both ways.
        ASSERT_TRUE((*client)->query("rows 2000000", handler).has_value());
        EXPECT_EQ(rows, 2'000'000U);
    }
    const auto writer = Client::connect(client_of(server)).value();
    ASSERT_TRUE(writer->define_schema("demo", *test_schema()).has_value());
    ClientRun run = writer->open_run("demo", "a", OpenRunFrame::kCreateIfMissing).value();
    RowsBuilder builder(test_schema());
    const std::vector<double> values = {0.5, 0.1};
    uint64_t sent = 0;
    for (int frame = 0; frame < 20; ++frame) {
        for (int row = 0; row < 20'000; ++row) {
            builder.add(static_cast<double>(sent++), std::nullopt, values);
        }
        ASSERT_TRUE(writer->send_rows(run, builder).has_value());
    }
    const auto report = writer->flush();
    ASSERT_TRUE(report.has_value()) << report.error().to_string();
    EXPECT_EQ(report->refused_frames, 0U);
    EXPECT_EQ(server.rows(), sent);
}

TEST_F(Tls, AServerThatTheClientCannotVerifyIsNotSpokenTo) {
    FakeAccess access;
    access.add("secret");
    options_.access = &access;
    RunningServer server(options_);
    ClientOptions options = client_of(server);
    options.token = "secret";
    const std::string other = path("other");
    std::filesystem::create_directory(other);
    const TestCertificate stranger(other, "DNS:localhost,IP:127.0.0.1");
    options.tls.ca_file = stranger.certificate_file();
    const auto unknown = Client::connect(options);
    ASSERT_FALSE(unknown.has_value());
    EXPECT_EQ(unknown.error().code(), ErrorCode::kPermissionDenied);
    EXPECT_THAT(unknown.error().message(), HasSubstr("self-signed certificate"));
    options.tls.ca_file.clear();  // the system's
    EXPECT_EQ(Client::connect(options).error().code(), ErrorCode::kPermissionDenied);
    EXPECT_TRUE(Client::connect([&] {
                    options.tls.ca_file = certificate_->certificate_file();
                    return options;
                }())
                    .has_value());
}

TEST_F(Tls, ACertificateOfAnotherNameIsRefused) {
    const TestCertificate other(directory_, "DNS:elsewhere.example,IP:192.0.2.1");
    options_.tls = TlsFiles::open(other.certificate_file(), other.key_file()).value();
    RunningServer server(options_);
    for (const std::string host : {"127.0.0.1", "localhost"}) {
        ClientOptions options = client_of(server);
        options.host = host;
        const auto client = Client::connect(options);
        ASSERT_FALSE(client.has_value());
        EXPECT_EQ(client.error().code(), ErrorCode::kPermissionDenied);
        EXPECT_THAT(client.error().message(), HasSubstr("mismatch"));
    }
}

TEST_F(Tls, AClientWithoutIsToldToUseIt) {
    RunningServer server(options_);
    ClientOptions options = client_of(server);
    options.tls.is_wanted = false;
    const auto client = Client::connect(options);
    ASSERT_FALSE(client.has_value());
    EXPECT_EQ(client.error().code(), ErrorCode::kPermissionDenied);
    EXPECT_THAT(client.error().message(), HasSubstr("stepdbs://"));
}

TEST_F(Tls, AServerWithoutIsNamed) {
    RunningServer server;
    const auto client = Client::connect(client_of(server));
    ASSERT_FALSE(client.has_value());
    EXPECT_THAT(client.error().message(), HasSubstr("no TLS with 127.0.0.1"));
}

TEST_F(Tls, WhoDoesNotShakeHandsIsClosedInTime) {
    options_.hello_time_max = std::chrono::milliseconds(50);
    RunningServer server(options_);
    RawSocket silent(server.server().port());
    EXPECT_TRUE(silent.read_all().empty());
    RawSocket slow(server.server().port());
    const std::string begun("\x16\x03\x01", 3);
    slow.send(std::as_bytes(std::span(begun)));
    EXPECT_TRUE(slow.read_all().empty());
}

TEST_F(Tls, AStopDoesNotWaitForHands) {
    RunningServer server(options_);
    RawSocket silent(server.server().port());
    const auto client = Client::connect(client_of(server)).value();
    ASSERT_TRUE(client->query("rows 1", AnswerHandler()).has_value());
    server.stop();
    EXPECT_TRUE(silent.read_all().empty());
}

TEST_F(Tls, NamesTheFileThatIsNoGood) {
    std::ofstream(path("garbage")) << "no PEM";
    const auto named = [](const auto& context) { return context.error().message(); };
    EXPECT_THAT(named(TlsFiles::open(path("missing"), certificate_->key_file())),
                HasSubstr("certificate " + path("missing")));
    EXPECT_THAT(named(TlsFiles::open(certificate_->certificate_file(), path("garbage"))),
                HasSubstr("key " + path("garbage")));
    EXPECT_THAT(named(TlsContext::for_client(path("garbage"))), HasSubstr(path("garbage")));
    const std::string other = path("other");
    std::filesystem::create_directory(other);
    const TestCertificate stranger(other, "DNS:localhost");
    EXPECT_THAT(named(TlsFiles::open(certificate_->certificate_file(), stranger.key_file())),
                HasSubstr("is not that of the certificate"));
}

}  // namespace stepdb::tls_test

#include "server/http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/buffer.hpp>
#include <string_view>

namespace sluice::http {
namespace {

namespace asio = boost::asio;

constexpr char kCiphers[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

// Takes HTTP/1.1 of what a client offers. Who does not offer it is served all the same: this was
// not asked in the days of some clients.
int SelectProtocol(SSL*, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned in_size, void*) {
  static constexpr std::string_view kHttp11 = "http/1.1";
  for (unsigned i = 0; i < in_size; i += in[i] + 1u) {
    const std::string_view offered(reinterpret_cast<const char*>(in) + i + 1, in[i]);
    if (offered != kHttp11) continue;
    *out = in + i + 1;
    *out_size = in[i];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<asio::ssl::context> MakeContext(const tls::Identity& identity,
                                                tls::Clients clients) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_certificate_chain(asio::buffer(identity.certificate));
  context->use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
  if (!identity.client_ca.empty()) {
    context->add_certificate_authority(asio::buffer(identity.client_ca));
    context->set_verify_mode(
        asio::ssl::verify_peer |
        (clients == tls::Clients::kMust ? asio::ssl::verify_fail_if_no_peer_cert : 0));
  }
  SSL_CTX* const native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(native, kCiphers);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                  SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_num_tickets(native, 0);
  SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
  // An idle connection keeps none.
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, SelectProtocol, nullptr);
  return context;
}

std::string Text(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

std::string CommonName(const X509& certificate) {
  const X509_NAME* const subject = X509_get_subject_name(&certificate);
  const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (at < 0) return "";
  // Whatever form it has; its bytes may be those of another name.
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  return name;
}

// Appends those of `type`.
void AddNames(const GENERAL_NAMES* all, int type, std::vector<std::string>& names) {
  for (int i = 0; i < sk_GENERAL_NAME_num(all); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(all, i);
    if (name->type == type) names.push_back(Text(name->d.ia5));
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<asio::ssl::context>> TlsContexts::Now() {
  std::shared_ptr<const tls::Identity> now = certificates_.Now();
  std::lock_guard lock(mutex_);
  if (identity_ == now) return context_;
  try {
    context_ = MakeContext(*now, clients_);
    identity_ = std::move(now);
    return context_;
  } catch (const std::exception& error) {
    ERR_clear_error();
    if (context_ != nullptr) return context_;
    return absl::InternalError(error.what());
  }
}

std::vector<std::string> NamesOfPeer(SSL* connection) {
  std::vector<std::string> names;
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(
      SSL_get1_peer_certificate(connection), X509_free);
  if (certificate == nullptr || SSL_get_verify_result(connection) != X509_V_OK) return names;
  const std::unique_ptr<GENERAL_NAMES, decltype(&GENERAL_NAMES_free)> all(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  AddNames(all.get(), GEN_URI, names);
  AddNames(all.get(), GEN_DNS, names);
  if (names.empty()) names.push_back(CommonName(*certificate));
  return names;
}

}  // namespace sluice::http

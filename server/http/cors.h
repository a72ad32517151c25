#ifndef SLUICE_SERVER_HTTP_CORS_H_
#define SLUICE_SERVER_HTTP_CORS_H_

#include <string>
#include <vector>

#include "server/http/message.h"

namespace sluice::http {

struct CorsOptions {
  // Each such as "https://example.org"; "*" is every one.
  std::vector<std::string> origins;
  // Headers that pages may read, besides those that they always may.
  std::string exposed_headers;
};

// `handler` for browsers too: pages of those origins may read its answers, and OPTIONS from them is
// answered with 204 (contract W-40; the Fetch standard's CORS protocol). With no origins, `handler`
// itself.
Handler WithCors(const CorsOptions& options, const Errors& errors, Handler handler);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_CORS_H_

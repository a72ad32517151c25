#ifndef SLUICE_SERVER_HTTP_CORS_H_
#define SLUICE_SERVER_HTTP_CORS_H_

#include <string>
#include <vector>

#include "server/http/message.h"

namespace sluice::http {

// `handler` for browsers too: pages of `origins`, each such as "https://example.org", or of all
// where one is "*", may read its answers, and OPTIONS from them is answered with 204 (contract
// W-40; the Fetch standard's CORS protocol). With no origins, `handler` itself.
Handler WithCors(std::vector<std::string> origins, Handler handler);

}  // namespace sluice::http

#endif  // SLUICE_SERVER_HTTP_CORS_H_

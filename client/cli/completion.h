#ifndef SLUICE_CLIENT_CLI_COMPLETION_H_
#define SLUICE_CLIENT_CLI_COMPLETION_H_

#include <string>

namespace CLI {
class App;
}

namespace sluice::client {

// A script that completes the commands and options of `app`, for bash, or for zsh, which reads that
// of bash.
std::string CompletionOf(const CLI::App& app, bool zsh);

}  // namespace sluice::client

#endif  // SLUICE_CLIENT_CLI_COMPLETION_H_

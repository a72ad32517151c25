#ifndef SLUICE_TESTS_CONTRACT_EXCHANGE_H_
#define SLUICE_TESTS_CONTRACT_EXCHANGE_H_

#include <nlohmann/json.hpp>

namespace sluice::contract {

// Runs a case that is a list of steps, each a request at one door and what it is answered with,
// against a server of its own. README.md in this folder says what a step is. Failures are
// GoogleTest's.
void RunExchange(const nlohmann::ordered_json& exchange);

}  // namespace sluice::contract

#endif  // SLUICE_TESTS_CONTRACT_EXCHANGE_H_

#include "server/resources/workers.h"

#include <chrono>
#include <cstdio>
#include <exception>
#include <utility>
// Asio 1.74 needs it before.
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

namespace sluice::server {

class Workers::Pool : public boost::asio::thread_pool {
 public:
  using thread_pool::thread_pool;
};

Workers::Workers(size_t threads) : pool_(std::make_unique<Pool>(threads)) {}

Workers::~Workers() { pool_->join(); }

void Workers::Post(absl::AnyInvocable<void()> work) {
  const auto posted = std::chrono::steady_clock::now();
  boost::asio::post(*pool_, [this, posted, work = std::move(work)]() mutable {
    waits_.Observe(std::chrono::steady_clock::now() - posted);
    // Whoever posts deals with what may go wrong; this is for what nobody has thought of.
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a worker met: %s\n", error.what());
    }
  });
}

}  // namespace sluice::server

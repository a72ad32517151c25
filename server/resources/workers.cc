#include "server/resources/workers.h"

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
  boost::asio::post(*pool_, [work = std::move(work)]() mutable {
    // Whoever posts deals with what may go wrong; this is for what nobody has thought of.
    try {
      work();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a worker met: %s\n", error.what());
    }
  });
}

}  // namespace sluice::server

#include "server/workers.h"

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
  boost::asio::post(*pool_, [work = std::move(work)]() mutable { work(); });
}

}  // namespace sluice::server

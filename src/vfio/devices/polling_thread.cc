#include "vfio/devices/polling_thread.h"

#include <pthread.h>

#include <algorithm>
#include <new>
#include <system_error>
#include <utility>

namespace swiommu::vfio {
namespace {

using std::chrono::microseconds;

constexpr unsigned spins = 200;  // turns with nothing to do until the thread sleeps at all
constexpr microseconds shortest_pause{50}, longest_pause{2000};

}  // namespace

Result<> PollingThread::start() {
  try {
    thread_ = std::thread([this] { run(); });
  } catch (std::system_error const& error) {
    return fail(error.code().value(), "a thread of a device");
  } catch (std::bad_alloc const&) {
    return out_of_memory();
  }
  return {};
}

void PollingThread::stop() {
  stopping_.store(true);
  wakeup_.wake();
  if (thread_.joinable()) thread_.join();
}

bool PollingThread::turn() {
  try {
    return turn_();
  } catch (std::bad_alloc const&) {
    std::this_thread::yield();
    return true;
  }
}

void PollingThread::run() {
  ::pthread_setname_np(::pthread_self(), "swiommu");  // for those who look at threads
  unsigned idle = 0;
  microseconds pause = shortest_pause;
  bool polled = false;
  while (!stopping_.load()) {
    std::uint64_t const seen = wakeup_.count();
    if (stopping_.load()) return;  // it may have been set, and counted, in between
    if (turn()) {
      idle = 0;
      pause = shortest_pause;
    } else if (!polls_()) {
      idle = 0;
      pause = shortest_pause;
      // what was written just before the end of polling is looked for once more
      if (!std::exchange(polled, false)) wakeup_.wait(seen);
    } else if (polled = true; idle < spins) {
      idle++;
      std::this_thread::yield();
    } else {
      wakeup_.wait_for(seen, pause);
      pause = std::min(2 * pause, longest_pause);
    }
  }
}

}  // namespace swiommu::vfio

#include "vfio/event_watcher.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <csignal>
#include <system_error>

namespace swiommu::vfio {

Result<std::unique_ptr<EventWatcher>> EventWatcher::start(EventDescriptor event, std::function<void()> signalled) {
  return guarded([&]() -> Result<std::unique_ptr<EventWatcher>> {
    Descriptor const made_stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (made_stop.get() < 0) return fail(errno, "an eventfd to stop a thread with");
    Descriptor stop(::fcntl(made_stop.get(), F_DUPFD_CLOEXEC, 0));  // see Namespace::open()
    if (stop.get() < 0) return fail(errno, "an eventfd to stop a thread with");
    std::unique_ptr<EventWatcher> made(new EventWatcher(std::move(event), std::move(stop), std::move(signalled)));
    // Signals are for the program's own threads.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = 0;
    try {
      made->thread_ = std::thread([watcher = made.get()] { watcher->run(); });
    } catch (std::system_error const& error) {
      code = error.code().value();
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    if (code != 0) return fail(code, "a thread that waits for an eventfd");
    return made;
  });
}

EventWatcher::~EventWatcher() {
  if (!thread_.joinable()) return;
  std::uint64_t const one = 1;
  [[maybe_unused]] auto const written = ::write(stop_.get(), &one, sizeof one);
  thread_.join();
}

void EventWatcher::run() const {
  ::pthread_setname_np(::pthread_self(), "swiommu");  // for those who look at threads
  for (;;) {
    pollfd both[] = {{stop_.get(), POLLIN, 0}, {event_.get(), POLLIN, 0}};
    if (::poll(both, 2, -1) < 0) continue;
    if (both[0].revents != 0) return;
    if (event_.take()) signalled_();
  }
}

}  // namespace swiommu::vfio

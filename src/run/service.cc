#include "run/service.h"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

#include "run/connection.h"
#include "run/ended_program.h"
#include "run/hidden_thread.h"
#include "run/kernel_call.h"
#include "run/message.h"
#include "run/owner.h"
#include "run/process_state.h"

namespace swiommu::run {
namespace {
constexpr int look_after_milliseconds = 1000;
}

Service::Service(Owner& owner)
    : owner_(owner), events_(make_internal(static_cast<int>(kernel_call(SYS_epoll_create1, EPOLL_CLOEXEC)))) {}

void Service::watch(OwnFile const& file) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = file.name().id;
  kernel_call(SYS_epoll_ctl, events_, EPOLL_CTL_ADD, file.back(), &event);
}

void Service::start() {
  std::lock_guard const lock(mutex_);
  if (!started_) started_ = start_hidden_thread(&wait_for_events, this);
}

void Service::greet(OwnFile& file) {
  bool empty = false;
  while (!empty) {
    auto const received = receive_now(file.back(), empty);
    if (!received || received->descriptor < 0) continue;
    bool const welcome = received->message.say == Say::hello && received->message.words[0] == protocol_version;
    if (!welcome || !Connection::start(owner_, file.name().id, received->descriptor))
      kernel_call(SYS_close, received->descriptor);
  }
}

void* Service::wait_for_events(void* argument) {
  auto& service = *static_cast<Service*>(argument);
  std::array<epoll_event, 16> events;
  for (;;) {
    long const count =
        kernel_call(SYS_epoll_pwait, service.events_, events.data(), events.size(), look_after_milliseconds, nullptr, 8);
    if (count < 0 && count != -EINTR) return nullptr;
    if (count == 0 && program_has_ended()) std::exit(0);  // as the last thread of a program does
    for (long at = 0; at < count; at++) {
      if ((events[at].events & EPOLLIN) != 0)
        service.owner_.with_file(events[at].data.u64, [&](OwnFile& file) { service.greet(file); });
      if ((events[at].events & EPOLLHUP) != 0) service.owner_.release_if_unheld(events[at].data.u64);
    }
  }
}

}  // namespace swiommu::run

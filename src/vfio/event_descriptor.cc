#include "vfio/event_descriptor.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace swiommu::vfio {
namespace {

// The kernel has no better way to ask what is behind a descriptor.
bool is_eventfd(int descriptor) {
  std::array<char, 64> path, target;
  auto const end = fmt::format_to_n(path.data(), path.size() - 1, "/proc/self/fd/{}", descriptor);
  *end.out = '\0';
  auto const length = ::readlink(path.data(), target.data(), target.size());
  return length < 0 || std::string_view(target.data(), static_cast<std::size_t>(length)) == "anon_inode:[eventfd]";
}

}  // namespace

Result<EventDescriptor> EventDescriptor::borrow(iommufd::Caller& caller, int descriptor) {
  auto borrowed = caller.borrow(descriptor);
  if (!borrowed) {
    if (caller.open_file(descriptor)) return fail(EINVAL, fmt::format("descriptor {} is no eventfd", descriptor));
    return std::unexpected(std::move(borrowed).error());
  }
  if (!is_eventfd(borrowed->get())) return fail(EINVAL, fmt::format("descriptor {} is no eventfd", descriptor));
  return EventDescriptor(std::move(*borrowed));
}

void EventDescriptor::signal() const noexcept {
  // eventfd(2): a write waits while the counter would get too large, which is when it is not ready for writing.
  pollfd room{descriptor_.get(), POLLOUT, 0};
  if (::poll(&room, 1, 0) != 1 || (room.revents & POLLOUT) == 0) return;
  std::uint64_t const one = 1;
  [[maybe_unused]] auto const written = ::write(descriptor_.get(), &one, sizeof one);
}

bool EventDescriptor::take() const noexcept {
  std::uint64_t count = 0;
  iovec const part{&count, sizeof count};
  // another reader may have been faster than who saw that there is something
  return ::preadv2(descriptor_.get(), &part, 1, -1, RWF_NOWAIT) == sizeof count;
}

}  // namespace swiommu::vfio

#include "iommufd/event_queue.h"

#include <fmt/format.h>

#include <limits>

#include "swiommu/iommufd/caller.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t header_size = sizeof(iommufd_vevent_header);

}  // namespace

EventQueue::EventQueue(std::shared_ptr<Viommu> viommu, std::uint32_t type, std::uint32_t depth)
    : Object(object_type), viommu_(std::move(viommu)), kind_(type), depth_(depth) {}

Result<void> EventQueue::join(std::shared_ptr<EventQueue> const& self) {
  SWIOMMU_TRY(viommu_->add_event_queue(kind_, self));
  joined_ = true;
  return {};
}

EventQueue::~EventQueue() {
  if (joined_) viommu_->remove_event_queue(kind_);
}

Result<void> EventQueue::add(std::span<std::byte const> event) {
  Lock const lock(mutex_);
  bool const was_readable = lost_ || !events_.empty();
  bool const full = events_.size() == depth_;
  auto const added = guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS -> Result<void> {
    if (!full) events_.push_back({sequence_, std::vector<std::byte>(event.begin(), event.end())});
    return {};
  });
  // The mark is always last: the gap in the numbers of later events says the same.
  lost_ = full || !added;
  if (lost_) lost_sequence_ = sequence_;
  sequence_ = sequence_ == std::numeric_limits<std::int32_t>::max() ? 0 : sequence_ + 1;
  if (!was_readable) tell();
  return added;
}

// Copies the first event out, or the mark. Returns its bytes, 0 if there is no room for it.
Result<std::uint64_t> EventQueue::deliver(Caller& caller, std::uint64_t to, std::uint64_t room) {
  bool const mark = events_.empty();
  iommufd_vevent_header const header{mark ? std::uint32_t{IOMMU_VEVENTQ_FLAG_LOST_EVENTS} : 0,
                                     mark ? lost_sequence_ : events_.front().sequence};
  std::uint64_t const bytes = mark ? 0 : events_.front().bytes.size();
  if (room < header_size + bytes) return 0;
  if (!caller.copy_out(to, std::as_bytes(std::span(&header, 1))) ||
      (bytes != 0 && !caller.copy_out(to + header_size, events_.front().bytes)))
    return fail(EFAULT, "an event cannot be written to the reader's memory");
  if (mark)
    lost_ = false;
  else
    events_.pop_front();
  return header_size + bytes;
}

Result<std::uint64_t> EventQueue::read(Caller& caller, std::uint64_t to, std::uint64_t length) {
  return guarded([&]() -> Result<std::uint64_t> {
    if (length < header_size)
      return fail(EINVAL, fmt::format("{} bytes have no room for the header of an event, of {} bytes", length, header_size));
    Lock const lock(mutex_);
    bool const was_readable = lost_ || !events_.empty();
    std::uint64_t done = 0;
    while (lost_ || !events_.empty()) {
      auto const delivered = deliver(caller, to + done, length - done);
      if (!delivered && done == 0) return delivered;
      if (delivered && *delivered == 0 && done == 0)
        return fail(EINVAL, fmt::format("{} bytes have no room for the next event", length));
      if (!delivered || *delivered == 0) break;
      done += *delivered;
    }
    if (was_readable && !lost_ && events_.empty()) tell();
    return done;
  });
}

bool EventQueue::readable() const {
  Lock const lock(mutex_);
  return lost_ || !events_.empty();
}

void EventQueue::on_readable(std::function<void(bool)> changed) {
  Lock const lock(mutex_);
  changed_ = std::move(changed);
}

void EventQueue::tell() {
  if (changed_) changed_(lost_ || !events_.empty());
}

}  // namespace swiommu::iommufd

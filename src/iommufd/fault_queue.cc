#include "iommufd/fault_queue.h"

#include <fmt/format.h>

#include <algorithm>

#include "iommufd/queue_file.h"
#include "swiommu/iommufd/caller.h"
#include "swiommu/iommufd/physical_device.h"
#include "swiommu/uapi/iommufd.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint64_t record_size = sizeof(iommu_hwpt_pgfault);
constexpr std::uint64_t answer_size = sizeof(iommu_hwpt_page_response);

iommu_hwpt_pgfault record_of(PageRequest const& request, std::uint32_t device, std::uint32_t cookie) {
  iommu_hwpt_pgfault record{};
  if (request.pasid) record.flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
  if (request.last) record.flags |= IOMMU_PGFAULT_FLAGS_LAST_PAGE;
  record.dev_id = device;
  record.pasid = request.pasid.value_or(0);
  record.grpid = request.group;
  if (request.read) record.perm |= IOMMU_PGFAULT_PERM_READ;
  if (request.write) record.perm |= IOMMU_PGFAULT_PERM_WRITE;
  if (request.execute) record.perm |= IOMMU_PGFAULT_PERM_EXEC;
  if (request.privileged) record.perm |= IOMMU_PGFAULT_PERM_PRIV;
  record.addr = request.iova;
  record.cookie = cookie;
  return record;
}

void answer(PageRequestGroup const& group, PageResponse::Code code) {
  PageRequest const& last = group.requests.back();
  group.device->respond({last.pasid, last.group, code});
}

}  // namespace

FaultQueue::~FaultQueue() {
  for (auto const& group : waiting_) answer(group, PageResponse::Code::invalid);
  for (auto const& [cookie, group] : delivered_) answer(group, PageResponse::Code::invalid);
}

Result<void> FaultQueue::add(PageRequestGroup group) {
  return guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    std::size_t const requests = group.requests.size();
    if (requests_ + requests > capacity) return fail(ENOSPC, fmt::format("{} page requests wait for an answer", requests_));
    waiting_.push_back(std::move(group));
    requests_ += requests;
    if (waiting_.size() == 1) tell();
    return {};
  });
}

void FaultQueue::drop(FaultHandle const& handle) noexcept {
  // One at a time, so that nothing is locked while the device is answered, and no memory is needed.
  for (;;) {
    PageRequestGroup group;
    {
      Lock const lock(mutex_);
      auto const ours = [&](PageRequestGroup const& other) { return other.handle.get() == &handle; };
      if (auto const at = std::ranges::find_if(waiting_, ours); at != waiting_.end()) {
        group = std::move(*at);
        waiting_.erase(at);
        if (waiting_.empty()) tell();
      } else {
        auto const delivered = std::ranges::find_if(delivered_, [&](auto const& entry) { return ours(entry.second); });
        if (delivered == delivered_.end()) return;
        group = std::move(delivered->second);
        delivered_.erase(delivered);
      }
      requests_ -= group.requests.size();
    }
    answer(group, PageResponse::Code::invalid);
  }
}

// Takes the lowest free cookie for the group at the head of the queue, and copies it out.
Result<std::uint64_t> FaultQueue::deliver(Caller& caller, std::uint64_t to, std::uint64_t room) {
  PageRequestGroup& group = waiting_.front();
  if (group.requests.size() > room / record_size)
    return fail(EINVAL, fmt::format("the next group of page requests has {} bytes, and there is room for {}",
                                    group.requests.size() * record_size, room));
  std::uint32_t cookie = 1;
  for (auto at = delivered_.begin(); at != delivered_.end() && at->first == cookie; ++at) cookie++;
  auto const place = delivered_.try_emplace(cookie).first;
  std::uint64_t done = 0;
  for (PageRequest const& request : group.requests) {
    auto const record = record_of(request, group.handle->device, cookie);
    if (!caller.copy_out(to + done, std::as_bytes(std::span(&record, 1)))) {
      delivered_.erase(place);
      return fail(EFAULT, "a page request cannot be written to the reader's memory");
    }
    done += record_size;
  }
  place->second = std::move(group);
  waiting_.pop_front();
  return done;
}

Result<std::uint64_t> FaultQueue::read(Caller& caller, std::uint64_t to, std::uint64_t length) {
  if (length % record_size != 0)
    return fail(ESPIPE, fmt::format("{} bytes are no whole number of page requests of {} bytes", length, record_size));
  return guarded([&]() -> Result<std::uint64_t> {
    Lock const lock(mutex_);
    bool const had_some = !waiting_.empty();
    std::uint64_t done = 0;
    while (!waiting_.empty()) {
      auto delivered = guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS { return deliver(caller, to + done, length - done); });
      if (!delivered && done == 0) return delivered;
      if (!delivered) break;
      done += *delivered;
    }
    if (had_some && waiting_.empty()) tell();
    return done;
  });
}

Result<std::uint64_t> FaultQueue::write(Caller& caller, std::uint64_t from, std::uint64_t length) {
  if (length % answer_size != 0)
    return fail(ESPIPE, fmt::format("{} bytes are no whole number of page responses of {} bytes", length, answer_size));
  std::uint64_t done = 0;
  while (done < length) {
    auto const answered = answer_one(caller, from + done);
    if (!answered && done == 0) return std::unexpected(answered.error());
    if (!answered) break;
    done += answer_size;
  }
  return done;
}

Result<void> FaultQueue::answer_one(Caller& caller, std::uint64_t from) {
  iommu_hwpt_page_response response{};
  if (!caller.copy_in(from, std::as_writable_bytes(std::span(&response, 1))))
    return fail(EFAULT, "a page response cannot be read from the writer's memory");
  return guarded([&]() -> Result<void> {
    if (response.code != IOMMUFD_PAGE_RESP_SUCCESS && response.code != IOMMUFD_PAGE_RESP_INVALID)
      return fail(EINVAL, fmt::format("a page response with code {}", response.code));
    PageRequestGroup group;
    {
      Lock const lock(mutex_);
      auto const at = delivered_.find(response.cookie);
      if (at == delivered_.end())
        return fail(EINVAL, fmt::format("no page requests with cookie {} wait for a response", response.cookie));
      group = std::move(at->second);
      delivered_.erase(at);
      requests_ -= group.requests.size();
    }
    answer(group, response.code == IOMMUFD_PAGE_RESP_SUCCESS ? PageResponse::Code::success : PageResponse::Code::invalid);
    return {};
  });
}

bool FaultQueue::readable() const {
  Lock const lock(mutex_);
  return !waiting_.empty();
}

void FaultQueue::on_readable(std::function<void(bool)> changed) {
  Lock const lock(mutex_);
  changed_ = std::move(changed);
}

void FaultQueue::tell() {
  if (changed_) changed_(!waiting_.empty());
}

}  // namespace swiommu::iommufd

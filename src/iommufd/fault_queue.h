// Fault queues: page requests of devices on their way to the user, and the answers on their way back.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "iommufd/object.h"
#include "swiommu/base/mutex.h"
#include "swiommu/device/page_request.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

class File;
class PhysicalDevice;

// One attach of a device or PASID, as those see it whose page requests it is.
struct FaultHandle {
  std::shared_ptr<class FaultQueue> queue;  // nullptr: nobody listens
  std::uint32_t device = 0;                 // id of the device in its file
  bool nested = false;                      // attached to a nested HWPT
};

// Requests that are answered together, the last of them last.
struct PageRequestGroup {
  std::shared_ptr<FaultHandle const> handle;
  std::vector<PageRequest> requests;
  std::shared_ptr<PhysicalDevice> device;  // to be answered
};

// Threads: any.
class FaultQueue final : public Object {
 public:
  static constexpr ObjectType object_type = ObjectType::fault_queue;
  static constexpr char const* file_name = "[iommufd-pgfault]";

  FaultQueue() : Object(object_type) {}
  // Answers everything: invalid.
  ~FaultQueue() override;

  // Page requests that may wait for an answer, as many as the rings of Linux' VT-d driver hold.
  static constexpr std::size_t capacity = 4096;

  // ENOMEM. ENOSPC: too many requests wait for an answer.
  Result<void> add(PageRequestGroup group);
  // Answers what came through this handle and is not answered yet: invalid.
  void drop(FaultHandle const& handle) noexcept;

  // read(2): whole groups only, 0 if there is none. ESPIPE: no whole number of records; EINVAL: no room for the first group;
  // EFAULT. write(2): ESPIPE: no whole number of responses; EINVAL: a code or cookie that is none; EFAULT. poll(2).
  Result<std::uint64_t> read(Caller& caller, std::uint64_t to, std::uint64_t length);
  Result<std::uint64_t> write(Caller& caller, std::uint64_t from, std::uint64_t length);
  [[nodiscard]] bool readable() const;
  void on_readable(std::function<void(bool)> changed);

 private:
  Result<std::uint64_t> deliver(Caller& caller, std::uint64_t to, std::uint64_t room) SWIOMMU_REQUIRES(mutex_);
  Result<void> answer_one(Caller& caller, std::uint64_t from);
  void tell() SWIOMMU_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::size_t requests_ SWIOMMU_GUARDED_BY(mutex_) = 0;  // in the two below
  std::deque<PageRequestGroup> waiting_ SWIOMMU_GUARDED_BY(mutex_);
  std::map<std::uint32_t, PageRequestGroup> delivered_ SWIOMMU_GUARDED_BY(mutex_);  // by cookie
  std::function<void(bool)> changed_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu::iommufd

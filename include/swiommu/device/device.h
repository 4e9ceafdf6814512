// A device: something with a requester id, whose DMA goes through the domain that it, or one of its PASIDs, is attached to.
//
// Threads: everything from any thread. Attach, replace and detach are one at a time per device.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/domain/domain.h"
#include "swiommu/memory/host_address_space.h"  // x86_interrupt_range

namespace swiommu {

class Port;

using Pasid = std::uint32_t;

struct DeviceOptions {
  std::uint32_t requester_id = 0;
  unsigned pasid_bits = 20;              // PASIDs below 2^pasid_bits may be attached
  std::optional<Range> interrupt_range;  // iovas that are messages, never memory (x86_interrupt_range)
};

// What one requester id or PASID is attached to. Belongs to the device; ports read it inside their guards.
struct Attachment {
  std::uint64_t key = 0;     // PASID, or no_pasid
  std::uint64_t serial = 0;  // a different one for each attachment that the device ever had; never 0
  std::shared_ptr<Domain> domain;
};
inline constexpr std::uint64_t no_pasid = ~std::uint64_t{0};

class Device : public std::enable_shared_from_this<Device> {
 public:
  // ENOMEM.
  static Result<std::shared_ptr<Device>> create(Host const& host, DeviceOptions const& options = {});
  ~Device();
  Device(Device const&) = delete;
  Device& operator=(Device const&) = delete;

  [[nodiscard]] DeviceOptions const& options() const { return options_; }

  // EBUSY: attached already. EINVAL: the PASID is too large, or the domain belongs to another host. ENOMEM. EDEADLK.
  Result<void> attach(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid = std::nullopt);

  // From the old domain to the new one with nothing in between; when it returns, no DMA uses the old one. Errors as attach,
  // but ENOENT if nothing is attached. On error the old domain stays in place.
  Result<void> replace(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid = std::nullopt);

  // When it returns, no DMA uses the domain. ENOENT: nothing is attached. ENOMEM. EDEADLK.
  Result<void> detach(std::optional<Pasid> pasid = std::nullopt);

  // What is attached; nothing if nothing is. Never waits for DMA, and so may be asked inside a guard.
  [[nodiscard]] std::shared_ptr<Domain> domain(std::optional<Pasid> pasid = std::nullopt) const SWIOMMU_NO_THREAD_SAFETY_ANALYSIS;

  // A new place to do DMA from, for one thread at a time. It keeps the device alive. ENOMEM. EDEADLK.
  Result<std::unique_ptr<Port>> open_port();

 private:
  friend class Port;
  // Published whole and never changed, so that ports need no lock.
  using Attachments = std::vector<Attachment>;

  Device(Host const& host, DeviceOptions const& options) : host_(host), options_(options) {}

  Result<void> check(std::shared_ptr<Domain> const& domain, std::optional<Pasid> pasid) const;
  Result<void> listen(Domain& domain) SWIOMMU_REQUIRES(mutex_);
  void stop_listening(Domain& domain, std::size_t ports) noexcept SWIOMMU_REQUIRES(mutex_);
  void publish(std::unique_ptr<Attachments const>& attachments) noexcept SWIOMMU_REQUIRES(mutex_);
  Result<void> exchange(std::uint64_t key, std::shared_ptr<Domain> domain) SWIOMMU_REQUIRES(mutex_);
  Result<std::unique_ptr<Attachments const>> with(std::uint64_t key, std::shared_ptr<Domain> const& domain) const
      SWIOMMU_REQUIRES(mutex_);
  void close(Port& port) noexcept;

  Host const host_;
  DeviceOptions const options_;
  Mutex mutex_;            // before the listeners_ of any domain; held while guards are waited for
  mutable Mutex reading_;  // after mutex_; owned_ is changed under both, and so read under either
  std::unique_ptr<Attachments const> owned_ SWIOMMU_GUARDED_BY(mutex_) = std::make_unique<Attachments const>();
  std::atomic<Attachments const*> attachments_{owned_.get()};
  std::uint64_t last_serial_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  std::vector<Epoch*> ports_ SWIOMMU_GUARDED_BY(mutex_);
};

}  // namespace swiommu

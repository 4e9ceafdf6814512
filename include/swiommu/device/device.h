// A device: something with a requester id, whose DMA goes through the domain that it, or one of its PASIDs, is attached to.
//
// Threads: everything from any thread. Attach, replace and detach are one at a time per device.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "swiommu/base/mutex.h"
#include "swiommu/device/page_request.h"
#include "swiommu/domain/domain.h"
#include "swiommu/memory/host_address_space.h"  // x86_interrupt_range

namespace swiommu {

class PageWaits;
class Port;

// What the ports of a device have done.
struct DmaCounts {
  std::uint64_t transfers = 0;     // reads and writes of whatever length; each part of a scatter list
  std::uint64_t bytes = 0;         // that they moved
  std::uint64_t walks = 0;         // translations that nothing kept served
  std::uint64_t nested_walks = 0;  // those of them through a user's table, or its shadow

  DmaCounts& operator+=(DmaCounts const& more) {
    transfers += more.transfers, bytes += more.bytes, walks += more.walks, nested_walks += more.nested_walks;
    return *this;
  }
};

struct DeviceOptions {
  std::uint32_t requester_id = 0;
  unsigned pasid_bits = 20;              // PASIDs below 2^pasid_bits may be attached
  std::optional<Range> interrupt_range;  // iovas that are messages, never memory (x86_interrupt_range)
};

// What one requester id or PASID is attached to. Belongs to the device; ports read it inside their guards.
struct Attachment {
  std::uint64_t key = 0;        // PASID, or no_pasid
  bool directs_pasids = false;  // serves PASIDs that are not attached themselves
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
  [[nodiscard]] Host const& host() const { return host_; }

  // EBUSY: attached already. EINVAL: the PASID is too large, or the domain belongs to another host. ENOMEM. EDEADLK.
  Result<void> attach(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid = std::nullopt);

  // From the old domain to the new one with nothing in between; when it returns, no DMA uses the old one. Errors as attach,
  // but ENOENT if nothing is attached. On error the old domain stays in place.
  Result<void> replace(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid = std::nullopt);

  // When it returns, no DMA uses the domain. ENOENT: nothing is attached. EDEADLK. Needs no memory.
  Result<void> detach(std::optional<Pasid> pasid = std::nullopt);

  // An attach or replace with all that can fail behind it: so that several devices change together, or none of them. Other
  // changes of the device, and ports that are opened or closed, wait until it is committed or dropped.
  class Change {
   public:
    Change(Change&& other) noexcept
        : device_(std::exchange(other.device_, nullptr)), key_(other.key_), domain_(std::move(other.domain_)) {}
    Change& operator=(Change&&) = delete;
    ~Change();
    // When it returns, no DMA uses what was attached before. Once.
    void commit() noexcept;

   private:
    friend class Device;
    Change(Device& device, std::uint64_t key, std::shared_ptr<Domain> domain)
        : device_(&device), key_(key), domain_(std::move(domain)) {}
    Device* device_;  // its mutex is held
    std::uint64_t key_;
    std::shared_ptr<Domain> domain_;
  };
  // EINVAL, ENOMEM and EDEADLK as attach.
  Result<Change> prepare(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid = std::nullopt);

  // What is attached; nothing if nothing is. Never waits for DMA, and so may be asked inside a guard.
  [[nodiscard]] std::shared_ptr<Domain> domain(std::optional<Pasid> pasid = std::nullopt) const SWIOMMU_NO_THREAD_SAFETY_ANALYSIS;

  // Of all ports, those that are closed included; of those that are at work perhaps not the last. Nothing: somebody is changing
  // what is attached, and may be waiting for guards. Never waits. Not for who holds a Change.
  [[nodiscard]] std::optional<DmaCounts> counts() const;

  // A new place to do DMA from, for one thread at a time. It keeps the device alive. ENOMEM. EDEADLK.
  Result<std::unique_ptr<Port>> open_port();

  // Who gets the page requests of DMA that misses pages (Port::on_missing_page); nobody to begin with.
  void set_page_requests(std::weak_ptr<PageRequestTarget> target) noexcept;
  // The answer to a group of page requests, for whoever waits for it in a port. True: somebody did.
  bool answer(PageResponse const& response) noexcept;
  // DMA that waits for pages fails now, so that its threads can be stopped. What is asked for later waits again.
  void give_up_page_requests() noexcept;

 private:
  friend class Port;
  // Published whole and never changed, so that ports need no lock.
  using Attachments = std::vector<Attachment>;
  // The two halves of a change: what can fail, and the rest.
  Result<void> ready(std::shared_ptr<Domain> const& domain) SWIOMMU_REQUIRES(mutex_);
  void exchange(std::uint64_t key, std::shared_ptr<Domain> domain) noexcept SWIOMMU_REQUIRES(mutex_);

  Device(Host const& host, DeviceOptions const& options);

  Result<void> check(std::shared_ptr<Domain> const& domain, std::optional<Pasid> pasid) const;
  Result<void> listen(Domain& domain) SWIOMMU_REQUIRES(mutex_);
  void stop_listening(Domain& domain, std::size_t ports) noexcept SWIOMMU_REQUIRES(mutex_);
  void close(Port& port) noexcept;

  Host const host_;
  DeviceOptions const options_;
  mutable Mutex mutex_;    // before the listeners_ of any domain; held while guards are waited for
  mutable Mutex reading_;  // after mutex_; owned_ is changed under both, and so read under either
  std::unique_ptr<Attachments> owned_ SWIOMMU_GUARDED_BY(mutex_) = std::make_unique<Attachments>();
  // The next one is built here; empty, with room for what is attached less one, so that detach() needs no memory.
  std::unique_ptr<Attachments> spare_ SWIOMMU_GUARDED_BY(mutex_) = std::make_unique<Attachments>();
  std::atomic<Attachments const*> attachments_{owned_.get()};
  std::vector<Port*> ports_ SWIOMMU_GUARDED_BY(mutex_);
  std::vector<Epoch*> epochs_ SWIOMMU_GUARDED_BY(mutex_);  // of each of them, to be waited for
  DmaCounts closed_ SWIOMMU_GUARDED_BY(mutex_);            // by ports that are closed
  std::unique_ptr<PageWaits> const page_waits_;
};

}  // namespace swiommu

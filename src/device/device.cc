#include "swiommu/device/device.h"

#include <algorithm>

#include "device/lookaside.h"
#include "device/page_waits.h"
#include "swiommu/device/port.h"

namespace swiommu {

namespace {

std::uint64_t key_of(std::optional<Pasid> pasid) { return pasid ? *pasid : no_pasid; }

}  // namespace

Result<std::shared_ptr<Device>> Device::create(Host const& host, DeviceOptions const& options) {
  return guarded([&]() -> Result<std::shared_ptr<Device>> { return std::shared_ptr<Device>(new Device(host, options)); });
}

Device::Device(Host const& host, DeviceOptions const& options)
    : host_(host), options_(options), page_waits_(std::make_unique<PageWaits>()) {}

// No port is open any more: ports keep their device alive.
Device::~Device() = default;

Result<void> Device::check(std::shared_ptr<Domain> const& domain, std::optional<Pasid> pasid) const {
  if (!domain) return fail(EINVAL, "no domain to attach to");
  if (pasid && (*pasid & ~low_bits(options_.pasid_bits)) != 0) return fail(EINVAL, "the PASID is wider than the device's PASIDs");
  if (domain->host().grace.uses_membarrier() != host_.grace.uses_membarrier())
    return fail(EINVAL, "the domain waits for DMA in another way than the device announces it");
  if (domain->host().memory != host_.memory || domain->host().generations != host_.generations)
    return fail(EINVAL, "the domain belongs to another host than the device");
  return refuse_inside_guard();
}

std::shared_ptr<Domain> Device::domain(std::optional<Pasid> pasid) const {
  Lock const lock(reading_);
  auto const at = std::ranges::find(*owned_, key_of(pasid), &Attachment::key);
  return at == owned_->end() ? nullptr : at->domain;
}

Result<void> Device::attach(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid) {
  SWIOMMU_TRY(check(domain, pasid));
  Lock const lock(mutex_);
  if (std::ranges::find(*owned_, key_of(pasid), &Attachment::key) != owned_->end())
    return fail(EBUSY, pasid ? "this PASID of the device is attached already" : "the device is attached already");
  SWIOMMU_TRY(ready(domain));
  exchange(key_of(pasid), std::move(domain));
  return {};
}

Result<void> Device::replace(std::shared_ptr<Domain> domain, std::optional<Pasid> pasid) {
  SWIOMMU_TRY(check(domain, pasid));
  Lock const lock(mutex_);
  auto const at = std::ranges::find(*owned_, key_of(pasid), &Attachment::key);
  if (at == owned_->end()) return fail(ENOENT, pasid ? "this PASID of the device is not attached" : "the device is not attached");
  if (at->domain == domain) return {};
  SWIOMMU_TRY(ready(domain));
  exchange(key_of(pasid), std::move(domain));
  return {};
}

Result<void> Device::detach(std::optional<Pasid> pasid) {
  SWIOMMU_TRY(refuse_inside_guard());
  Lock const lock(mutex_);
  if (std::ranges::find(*owned_, key_of(pasid), &Attachment::key) == owned_->end())
    return fail(ENOENT, pasid ? "this PASID of the device is not attached" : "the device is not attached");
  exchange(key_of(pasid), nullptr);
  return {};
}

// The mutex stays locked in the Change.
Result<Device::Change> Device::prepare(std::shared_ptr<Domain> domain,
                                       std::optional<Pasid> pasid) SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
  SWIOMMU_TRY(check(domain, pasid));
  mutex_.lock();
  if (auto is_ready = ready(domain); !is_ready) {
    mutex_.unlock();
    return std::unexpected(std::move(is_ready).error());
  }
  return Change(*this, key_of(pasid), std::move(domain));
}

void Device::Change::commit() noexcept SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
  device_->exchange(key_, std::move(domain_));
  device_->mutex_.unlock();
  device_ = nullptr;
}

Device::Change::~Change() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS {
  if (device_ == nullptr) return;
  device_->stop_listening(*domain_, device_->ports_.size());
  device_->mutex_.unlock();
}

// Room for one more, and ears on the domain.
Result<void> Device::ready(std::shared_ptr<Domain> const& domain) {
  return guarded([&]() SWIOMMU_NO_THREAD_SAFETY_ANALYSIS -> Result<void> {
    spare_->reserve(owned_->size() + 1);
    return listen(*domain);
  });
}

// Puts `domain`, or nothing, in the place of what is attached at `key`.
void Device::exchange(std::uint64_t key, std::shared_ptr<Domain> domain) noexcept {
  std::shared_ptr<Domain> old;
  for (Attachment const& attachment : *owned_) {
    if (attachment.key == key)
      old = attachment.domain;
    else
      spare_->push_back(attachment);
  }
  if (domain) spare_->push_back({key, key == no_pasid && domain->directs_pasids(), std::move(domain)});
  attachments_.store(spare_.get(), std::memory_order_seq_cst);
  for (Port* const port : ports_) port->kept_->look_again();
  host_.grace.wait(epochs_);
  {
    Lock const lock(reading_);
    owned_.swap(spare_);
  }
  spare_->clear();  // no guard reads it any more
  if (old) stop_listening(*old, ports_.size());
}

Result<void> Device::listen(Domain& domain) {
  for (std::size_t n = 0; n < ports_.size(); n++) {
    auto added = domain.add_listener(*epochs_[n], ports_[n]->kept_.get());
    if (added) continue;
    stop_listening(domain, n);
    return added;
  }
  return {};
}

void Device::stop_listening(Domain& domain, std::size_t ports) noexcept {
  for (std::size_t n = 0; n < ports; n++) domain.remove_listener(*epochs_[n]);
}

Result<std::unique_ptr<Port>> Device::open_port() {
  SWIOMMU_TRY(refuse_inside_guard());
  return guarded([&]() -> Result<std::unique_ptr<Port>> {
    auto kept = Lookaside::create(host_);
    if (!kept) return std::unexpected(std::move(kept).error());
    std::unique_ptr<Port> port(new Port(shared_from_this(), host_, std::move(*kept)));
    Lock const lock(mutex_);
    ports_.reserve(ports_.size() + 1);
    epochs_.reserve(epochs_.size() + 1);
    for (std::size_t n = 0; n < owned_->size(); n++) {
      auto added = (*owned_)[n].domain->add_listener(port->epoch_, port->kept_.get());
      if (added) continue;
      while (n-- > 0) (*owned_)[n].domain->remove_listener(port->epoch_);
      return std::unexpected(std::move(added).error());
    }
    ports_.push_back(port.get());
    epochs_.push_back(&port->epoch_);
    port->open_ = true;
    return port;
  });
}

void Device::set_page_requests(std::weak_ptr<PageRequestTarget> target) noexcept { page_waits_->set_target(std::move(target)); }

bool Device::answer(PageResponse const& response) noexcept { return page_waits_->answer(response); }

void Device::give_up_page_requests() noexcept { page_waits_->give_up(); }

std::optional<DmaCounts> Device::counts() const {
  if (!mutex_.try_lock()) return std::nullopt;
  DmaCounts all = closed_;
  for (Port const* const port : ports_) all += port->counts();
  mutex_.unlock();
  return all;
}

void Device::close(Port& port) noexcept {
  Lock const lock(mutex_);
  for (Attachment const& attachment : *owned_) attachment.domain->remove_listener(port.epoch_);
  std::erase(ports_, &port);
  std::erase(epochs_, &port.epoch_);
  closed_ += port.counts();
}

}  // namespace swiommu

// A zPCI function as its guest drives it: by MPCIFC, RPCIT and STPCIFC, which a VMM or a hypervisor's trap handler hands on.
//
//   auto function = *zpci::GuestFunction::create(paging_domain, device, {.handle = 0x80000001});
//   Answer answer = function->modify(operand, fib);        // the guest has executed MPCIFC
//   answer = function->refresh(operand, start, length);    // RPCIT
//
// The function needs the guest's memory, as a domain, and the device whose DMA it translates. That is all that the owner of the
// memory hands over: who maps it takes no part in what happens here. The same in C: zpci_intercepts.h.
//
// There is no public manual. Q: as QEMU does it (hw/s390x/s390-pci-inst.c, s390-pci-bus.c), L: as Linux relies on it
// (arch/s390/pci, drivers/iommu/s390-iommu.c). Unverified: what neither shows.
//
//   state      MPCIFC and RPCIT                          DMA                          loads and stores
//   enabled    yes                                       by the registration, if any  yes
//   error      MPCIFC; RPCIT: cc 1, status 40 (Q)        no                           no
//   blocked    both (Q)                                  no (L; QEMU translates)      yes (L)
//   disabled   cc 3 (Q)                                  no                           no
//
// From enabled to error: DMA that meets a fault, once it is reported (Q); RPCIT where no translation is registered, or that
// leaves [PBA, PAL] altogether (Q): cc 1, status 8. RESET_BLOCK leads from error to blocked, RESET_ERROR from either to enabled;
// in other states they are cc 1, status 24 (Q). A registration outlives an error (Q). RPCITs that were refused meanwhile are made
// up for by RESET_ERROR (unverified).
//
// Registering: PBA > PAL, or either outside of the function's DMA range; a designation that the function has not; no translation
// (T = 0) without relaxed translation; a FIB format other than 0: operand exception, and nothing has changed (Q, but that QEMU's
// reregistration has deregistered by then). Another DMA address space than 0: cc 1, status 28. Registered already, or
// not yet: status 24. No memory: status 16. Bit 9 of the anchor forbids writing (Q). A reregistration goes from the old
// translation to the new one with nothing in between (unverified). An entry that means nothing maps nothing, and is a fault
// for DMA that meets it (QEMU goes to the error state in the RPCIT that meets it).
//
// With Mechanism::shadow the guest must refresh what it has mapped as well, which CLP has to announce ("refresh"). MPCIFC then
// reads the whole table: what a guest changes before it has the answer it must refresh, as after it.
#pragma once
#include <cstdint>
#include <memory>

#include "swiommu/base/mutex.h"
#include "swiommu/device/device.h"
#include "swiommu/device/fault_record.h"
#include "swiommu/domain/shadow_domain.h"
#include "swiommu/hardware/zpci_intercepts.h"

namespace swiommu::zpci {

using Fib = ::swiommu_zpci_fib;
using Answer = ::swiommu_zpci_answer;

// The event by which zPCI tells of a fault. Which event stands for what QEMU finds nowhere is unverified.
[[nodiscard]] swiommu_zpci_event event_of(Reason reason);

// Threads: any, any number at a time. Lock order: the function's mutex, then those of the device and of domains. Who is inside a
// guard gets condition code 2.
class GuestFunction {
 public:
  enum class Mechanism : std::uint8_t {
    shadow,  // one composed table, brought up to date by RPCIT
    nested,  // the two-dimensional walk; RPCIT invalidates
  };
  struct Options {
    std::uint32_t handle = 0x80000001;                   // by which the guest names the function
    Range dma = {std::uint64_t{1} << 32, low_bits(57)};  // SDMA to EDMA, as CLP tells the guest
    std::uint8_t designations = 0b1111;                  // bit n: anchors of designation type n may be registered
    bool relaxed_translation = false;                    // anchors without translation may: iova - SDMA is the address
    Mechanism mechanism = Mechanism::shadow;
    std::uint64_t shadow_limit = std::uint64_t{64} << 20;  // bytes of tables; 64 MiB serve 32 GiB of 4 KiB pages
    std::uint64_t words = std::uint64_t{1} << 12;          // of the guest's tables that one call reads, at most
  };

  // Enabled, nothing registered. Nobody else attaches the device, or a PASID of it. EBUSY: it is attached. EINVAL: the device
  // belongs to another host than `memory`. ENOMEM.
  static Result<std::unique_ptr<GuestFunction>> create(std::shared_ptr<Domain> memory, std::shared_ptr<Device> device,
                                                       Options const& options);
  // Detaches the device.
  ~GuestFunction();
  GuestFunction(GuestFunction const&) = delete;
  GuestFunction& operator=(GuestFunction const&) = delete;

  // How far an instruction has come that takes several calls: see zpci_intercepts.h.
  struct Call {
    enum class Of : std::uint64_t { nothing, registration, refresh } of = Of::nothing;
    std::uint64_t registration = 0;  // which one
    RefreshProgress progress;
  };

  // MPCIFC, RPCIT, STPCIFC: see zpci_intercepts.h. Without a Call they go on until all is done.
  Answer modify(std::uint64_t operand, Fib const& fib, Call& call);
  Answer modify(std::uint64_t operand, Fib const& fib);
  Answer refresh(std::uint64_t operand, std::uint64_t start, std::uint64_t length, Call& call);
  Answer refresh(std::uint64_t operand, std::uint64_t start, std::uint64_t length);
  Answer store(std::uint64_t operand, Fib& fib);

  // DMA of the device has met this fault. When it returns the function is in the error state, no DMA is on its way, and the
  // event is what the guest is to be told; none if it was not enabled or in error already. Not inside a guard: none.
  swiommu_zpci_event report(FaultRecord const& fault);
  [[nodiscard]] bool takes_loads() const;

  // CLP, set PCI function: disabling drops the registration; enabling gives the function a new handle. EINVAL: enabled already.
  void disable();
  Result<void> enable(std::uint32_t handle);

  // What is registered; nothing if nothing is.
  [[nodiscard]] std::shared_ptr<Domain> translation() const;
  // Bytes of tables in use by the shadow.
  [[nodiscard]] std::uint64_t shadow_bytes() const;

 private:
  enum class State : std::uint8_t { enabled, blocked, error, disabled };

  GuestFunction(std::shared_ptr<Domain> memory, std::shared_ptr<Device> device, Options const& options)
      : memory_(std::move(memory)), device_(std::move(device)), options_(options), handle_(options.handle) {}

  Answer register_translation(Fib const& fib, Call& call) SWIOMMU_REQUIRES(mutex_);
  Answer begin_registration(Fib const& fib, Call& call) SWIOMMU_REQUIRES(mutex_);
  Answer commit_registration() SWIOMMU_REQUIRES(mutex_);
  Answer reset_error(Call& call) SWIOMMU_REQUIRES(mutex_);
  void deregister() noexcept SWIOMMU_REQUIRES(mutex_);
  Answer refresh_range(Range iovas, Call& call) SWIOMMU_REQUIRES(mutex_);
  Answer go_on(ShadowDomain& shadow, Call& call) const;
  void enter_error() noexcept SWIOMMU_REQUIRES(mutex_);
  Answer error(swiommu_zpci_event event, std::uint64_t address) noexcept SWIOMMU_REQUIRES(mutex_);
  [[nodiscard]] bool names_this(std::uint64_t operand) const SWIOMMU_REQUIRES(mutex_);

  struct Registration {
    std::uint64_t number = 0;  // 0: none
    Fib fib{};                 // what STPCIFC shows
    std::shared_ptr<Domain> domain;
  };

  std::shared_ptr<Domain> const memory_;
  std::shared_ptr<Device> const device_;
  Options const options_;
  std::shared_ptr<TableAllocator> tables_;  // of shadows; with the limit
  mutable Mutex mutex_;                     // held for one call at a time
  std::uint32_t handle_ SWIOMMU_GUARDED_BY(mutex_);
  State state_ SWIOMMU_GUARDED_BY(mutex_) = State::enabled;
  Registration current_ SWIOMMU_GUARDED_BY(mutex_);
  Registration pending_ SWIOMMU_GUARDED_BY(mutex_);  // its table is being read
  std::uint64_t last_number_ SWIOMMU_GUARDED_BY(mutex_) = 0;
  bool outdated_ SWIOMMU_GUARDED_BY(mutex_) = false;  // an RPCIT was refused
};

// For C. Good as long as the function lives.
[[nodiscard]] swiommu_zpci_function* intercepts(GuestFunction& function);

}  // namespace swiommu::zpci

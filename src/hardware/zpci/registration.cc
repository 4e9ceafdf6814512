// Of GuestFunction: registering an anchor, and what STPCIFC shows of it.
#include <bit>

#include "hardware/zpci/answers.h"
#include "swiommu/domain/configured_domain.h"
#include "swiommu/hardware/zpci.h"

namespace swiommu::zpci {

namespace {

constexpr std::uint64_t translation_enabled = 0x800;

// A word of a FIB, which is big-endian.
std::uint64_t in_order(std::uint64_t word) { return std::endian::native == std::endian::little ? __builtin_bswap64(word) : word; }

// What an anchor leads to; nothing if it may not be registered. May throw std::bad_alloc.
std::optional<DeviceConfiguration> configuration_of(Fib const& fib, GuestFunction::Options const& options,
                                                    MemoryView const& memory) {
  std::uint64_t const iota = in_order(fib.iota);
  std::uint64_t const pba = in_order(fib.pba) & ~low_bits(12), pal = in_order(fib.pal) | low_bits(12);
  if (pba > pal || !options.dma.contains(Range{pba, pal})) return std::nullopt;
  bool const may =
      (iota & translation_enabled) != 0 ? (options.designations >> bit_field(iota, 4, 2) & 1) != 0 : options.relaxed_translation;
  if (!may) return std::nullopt;
  auto const function = Function::create({.iota = iota, .pba = pba, .pal = pal, .dma_start = options.dma.start}, memory);
  if (!function) return std::nullopt;
  auto found = function->find(0, std::nullopt);
  return found ? std::optional(*std::move(found)) : std::nullopt;
}

}  // namespace

Answer GuestFunction::register_translation(Fib const& fib, Call& call) {
  if (call.of != Call::Of::registration) {
    if (Answer const answer = begin_registration(fib, call); answer.outcome != SWIOMMU_ZPCI_AGAIN) return answer;
  } else if (call.registration != pending_.number) {
    // Another processor has taken over, or has dropped it all.
    call = {};
    return busy();
  }
  if (pending_.domain->kind() == DomainKind::shadow) {
    Answer const answer = go_on(static_cast<ShadowDomain&>(*pending_.domain), call);
    if (answer.outcome == SWIOMMU_ZPCI_AGAIN) return answer;
    if (answer.condition_code != SWIOMMU_ZPCI_OK) {
      pending_ = {};
      return answer;
    }
  }
  call = {};
  return commit_registration();
}

Answer GuestFunction::begin_registration(Fib const& fib, Call& call) {
  pending_ = {};
  bool refused = false;
  auto domain = guarded([&]() -> Result<std::shared_ptr<Domain>> {
    auto const configuration = configuration_of(fib, options_, *memory_);
    refused = !configuration;
    if (refused) return fail(EINVAL, "an anchor that may not be registered");
    if (options_.mechanism == Mechanism::nested || !configuration->user) return open_configuration(memory_, *configuration);
    return ShadowDomain::create(memory_, *configuration->user, {configuration->aperture, configuration->rights},
                                ShadowDomain::default_format, ShadowDomain::default_budget, tables_);
  });
  if (refused) return operand_exception();
  if (!domain) return failed(SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  pending_ = {.number = ++last_number_, .fib = fib, .domain = *std::move(domain)};
  call = {.of = Call::Of::registration, .registration = pending_.number, .progress = {}};
  if (pending_.domain->kind() == DomainKind::shadow)
    call.progress = static_cast<ShadowDomain const&>(*pending_.domain).begin_refresh(Range::all());
  return again();
}

Answer GuestFunction::commit_registration() {
  Registration fresh = std::exchange(pending_, {});
  if (state_ == State::enabled) {
    auto const attached = current_.domain ? device_->replace(fresh.domain) : device_->attach(fresh.domain);
    if (!attached) return failed(SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  }
  current_ = std::move(fresh);
  return done();
}

void GuestFunction::deregister() noexcept {
  if (state_ == State::enabled && current_.domain) (void)device_->detach();
  current_ = {};
  pending_ = {};
}

Answer GuestFunction::store(std::uint64_t operand, Fib& fib) {
  Lock const lock(mutex_);
  if (bit_field(operand, 23, 16) != 0) return failed(SWIOMMU_ZPCI_INVALID_SPACE);
  if (!names_this(operand)) return invalid_handle();
  fib = {};
  unsigned controls = SWIOMMU_ZPCI_FC_ENABLED;
  if (state_ != State::enabled) controls |= SWIOMMU_ZPCI_FC_ERROR;
  if (state_ == State::error) controls |= SWIOMMU_ZPCI_FC_BLOCKED;
  if (current_.domain) {
    controls |= SWIOMMU_ZPCI_FC_REGISTERED;
    fib.pba = current_.fib.pba & in_order(~low_bits(12));
    fib.pal = current_.fib.pal | in_order(low_bits(12));
    fib.iota = current_.fib.iota;
  }
  fib.controls = static_cast<std::uint8_t>(controls);
  return done();
}

}  // namespace swiommu::zpci

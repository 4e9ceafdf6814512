#include "swiommu/hardware/zpci_guest_function.h"

#include "hardware/zpci/answers.h"
#include "swiommu/domain/fixed_domains.h"

namespace swiommu::zpci {

namespace {

constexpr std::uint64_t growth_lg2 = 21;  // what an allocator of tables reserves is a multiple of this

unsigned space_of(std::uint64_t operand) { return static_cast<unsigned>(bit_field(operand, 23, 16)); }

}  // namespace

swiommu_zpci_event event_of(Reason reason) {
  switch (reason) {
    case Reason::none: return SWIOMMU_ZPCI_EVENT_NONE;
    case Reason::configuration: return SWIOMMU_ZPCI_EVENT_INVALID_SPACE;
    case Reason::out_of_range: return SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE;
    case Reason::malformed:
    case Reason::address_size: return SWIOMMU_ZPCI_EVENT_TABLE_ENTRY;
    case Reason::table_unreachable:
    case Reason::output_unreachable: return SWIOMMU_ZPCI_EVENT_ADDRESS_PROTECTION;
    case Reason::not_mapped:
    case Reason::permission:
    case Reason::access_flag: return SWIOMMU_ZPCI_EVENT_PROTECTION;
  }
  return SWIOMMU_ZPCI_EVENT_PROTECTION;
}

Result<std::unique_ptr<GuestFunction>> GuestFunction::create(std::shared_ptr<Domain> memory, std::shared_ptr<Device> device,
                                                             Options const& options) {
  return guarded([&]() -> Result<std::unique_ptr<GuestFunction>> {
    if (memory->host().memory != device->host().memory) return fail(EINVAL, "the device belongs to another host");
    if (device->domain()) return fail(EBUSY, "the device is attached already");
    std::unique_ptr<GuestFunction> function(new GuestFunction(std::move(memory), std::move(device), options));
    if (options.mechanism == Mechanism::nested) return function;
    // A little more than the limit, which alone decides.
    std::uint64_t const reserve = align_down(options.shadow_limit, growth_lg2) + 2 * bit(growth_lg2);
    auto tables = TableAllocator::create(std::min(reserve, TableAllocator::default_reserve));
    if (!tables) return std::unexpected(std::move(tables).error());
    function->tables_ = std::move(*tables);
    function->tables_->set_limit(options.shadow_limit);
    return function;
  });
}

GuestFunction::~GuestFunction() { disable(); }

bool GuestFunction::names_this(std::uint64_t operand) const {
  return state_ != State::disabled && bit_field(operand, 63, 32) == handle_;
}

Answer GuestFunction::modify(std::uint64_t operand, Fib const& fib) {
  Call call;
  for (;;)
    if (Answer const answer = modify(operand, fib, call); answer.outcome != SWIOMMU_ZPCI_AGAIN) return answer;
}

Answer GuestFunction::refresh(std::uint64_t operand, std::uint64_t start, std::uint64_t length) {
  Call call;
  for (;;)
    if (Answer const answer = refresh(operand, start, length, call); answer.outcome != SWIOMMU_ZPCI_AGAIN) return answer;
}

Answer GuestFunction::modify(std::uint64_t operand, Fib const& fib, Call& call) {
  if (guards_held() != 0) return busy();
  Lock const lock(mutex_);
  if (!names_this(operand)) return invalid_handle();
  if (fib.format != 0) return operand_exception();
  switch (std::uint64_t const operation = operand & 0xff) {
    case SWIOMMU_ZPCI_REGISTER_IOAT:
    case SWIOMMU_ZPCI_REREGISTER_IOAT:
    case SWIOMMU_ZPCI_DEREGISTER_IOAT: {
      if (space_of(operand) != 0) return failed(SWIOMMU_ZPCI_INVALID_SPACE);
      bool const wanted = operation != SWIOMMU_ZPCI_REGISTER_IOAT;
      if ((current_.domain != nullptr) != wanted) return failed(SWIOMMU_ZPCI_SEQUENCE);
      if (operation != SWIOMMU_ZPCI_DEREGISTER_IOAT) return register_translation(fib, call);
      deregister();
      return done();
    }
    case SWIOMMU_ZPCI_RESET_ERROR: return state_ == State::enabled ? failed(SWIOMMU_ZPCI_SEQUENCE) : reset_error(call);
    case SWIOMMU_ZPCI_RESET_BLOCK:
      if (state_ != State::error) return failed(SWIOMMU_ZPCI_SEQUENCE);
      state_ = State::blocked;
      return done();
    case 2:  // interruptions
    case 3:
    case 16:
    case 17:
    case 10:  // measurement
      return elsewhere();
    default: return operand_exception();
  }
}

Answer GuestFunction::refresh(std::uint64_t operand, std::uint64_t start, std::uint64_t length, Call& call) {
  if (guards_held() != 0) return busy();
  Lock const lock(mutex_);
  if (!names_this(operand)) return invalid_handle();
  if (state_ == State::error) {
    outdated_ = true;
    return failed(SWIOMMU_ZPCI_ERROR_RECOVERY);
  }
  if (!current_.domain || current_.domain->kind() == DomainKind::identity) return error(SWIOMMU_ZPCI_EVENT_INVALID_SPACE, start);
  Range const& aperture = current_.domain->limits().aperture;
  if (length == 0 && aperture.contains(start)) return done();
  auto const asked = Range::of_length(start, length);
  auto const iovas = asked ? asked->intersection(aperture) : std::nullopt;
  if (!iovas) return error(SWIOMMU_ZPCI_EVENT_OUT_OF_RANGE, start);
  return refresh_range(*iovas, call);
}

Answer GuestFunction::refresh_range(Range iovas, Call& call) {
  if (current_.domain->kind() != DomainKind::shadow) return current_.domain->invalidate(iovas) ? done() : busy();
  auto& shadow = static_cast<ShadowDomain&>(*current_.domain);
  if (call.of != Call::Of::refresh || call.registration != current_.number)
    call = {Call::Of::refresh, current_.number, shadow.begin_refresh(iovas)};
  return go_on(shadow, call);
}

// One step.
Answer GuestFunction::go_on(ShadowDomain& shadow, Call& call) const {
  auto const finished = shadow.refresh_some(call.progress, options_.words);
  if (finished && !*finished) return again();
  bool const complete = finished && !call.progress.missing;
  call = {};
  return complete ? done() : failed(SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
}

Answer GuestFunction::reset_error(Call& call) {
  if (outdated_ && current_.domain) {
    Answer const answer = refresh_range(Range::all(), call);
    // What finds no room is missing from the shadow, and a fault; nothing old is left.
    if (answer.outcome != SWIOMMU_ZPCI_DONE) return answer;
  }
  outdated_ = false;
  if (current_.domain && !device_->attach(current_.domain)) return failed(SWIOMMU_ZPCI_INSUFFICIENT_RESOURCES);
  state_ = State::enabled;
  return done();
}

void GuestFunction::enter_error() noexcept {
  if (state_ == State::enabled) (void)device_->detach();  // nothing is attached if nothing is registered
  state_ = State::error;
}

Answer GuestFunction::error(swiommu_zpci_event event, std::uint64_t address) noexcept {
  enter_error();
  Answer answer = failed(SWIOMMU_ZPCI_IN_ERROR);
  answer.event = static_cast<std::uint16_t>(event);
  answer.event_address = address;
  return answer;
}

swiommu_zpci_event GuestFunction::report(FaultRecord const& fault) {
  if (guards_held() != 0) return SWIOMMU_ZPCI_EVENT_NONE;
  Lock const lock(mutex_);
  if (state_ != State::enabled) return SWIOMMU_ZPCI_EVENT_NONE;
  enter_error();
  return event_of(fault.reason);
}

bool GuestFunction::takes_loads() const {
  Lock const lock(mutex_);
  return state_ == State::enabled || state_ == State::blocked;
}

void GuestFunction::disable() {
  Lock const lock(mutex_);
  deregister();
  state_ = State::disabled;
  outdated_ = false;
}

Result<void> GuestFunction::enable(std::uint32_t handle) {
  Lock const lock(mutex_);
  if (state_ != State::disabled) return fail(EINVAL, "the function is enabled already");
  handle_ = handle;
  state_ = State::enabled;
  return {};
}

std::shared_ptr<Domain> GuestFunction::translation() const {
  Lock const lock(mutex_);
  return current_.domain;
}

std::uint64_t GuestFunction::shadow_bytes() const { return tables_ ? tables_->bytes_in_use() : 0; }

}  // namespace swiommu::zpci

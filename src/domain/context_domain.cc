#include "swiommu/domain/context_domain.h"

#include <utility>

namespace swiommu {

Result<std::shared_ptr<ContextDomain>> ContextDomain::create(std::shared_ptr<Domain> parent,
                                                             std::unique_ptr<ContextSource const> contexts) {
  return guarded([&]() -> Result<std::shared_ptr<ContextDomain>> {
    Host const& host = parent->host();
    std::shared_ptr<ContextDomain> domain(new ContextDomain(host, std::move(parent), std::move(contexts)));
    SWIOMMU_TRY(domain->join_parent());
    return domain;
  });
}

Result<void> ContextDomain::forget(std::uint32_t pasid) {
  SWIOMMU_TRY(refuse_inside_guard());
  Contexts::node_type old, without;  // die without the mutex
  {
    Lock const lock(mutex_);
    version_++;
    old = kept_.extract(pasid);
    if (pasid == 0) without = kept_.extract(std::nullopt);
  }
  return invalidate(Range::all());
}

Result<void> ContextDomain::forget_all() {
  SWIOMMU_TRY(refuse_inside_guard());
  parent_lost(Range::all());
  wait_for_listeners();
  return {};
}

// The directory itself may have lain there.
void ContextDomain::parent_lost(Range) noexcept {
  Contexts old;
  {
    Lock const lock(mutex_);
    version_++;
    kept_.swap(old);
  }
  make_stale(Range::all());
}

Translation ContextDomain::look_up(std::uint64_t input, Access access, Update update, ParentReader* reader) const {
  auto const context = find(std::nullopt);
  return context ? through(**context, input, access, update, reader) : context.error();
}

Translation ContextDomain::look_up_pasid(std::uint64_t input, Access access, Update update, std::uint32_t pasid,
                                         ParentReader* reader) const {
  auto const context = find(pasid);
  return context ? through(**context, input, access, update, reader) : context.error();
}

Translation ContextDomain::through(Context const& context, std::uint64_t input, Access access, Update update,
                                   ParentReader* reader) const {
  return limited(context.limits, input, access, [&]() -> Translation {
    if (context.base) {
      if (input < *context.base) return {.reason = Reason::out_of_range, .where = this};
      // The block in which subtracting the base borrows nothing: aligned to both sides.
      Walk const moved{.size_lg2 = static_cast<std::uint8_t>(alignment_lg2(*context.base)),
                       .attributes = {.access = Access::both()},
                       .output = input - *context.base};
      return through_parent(*this, moved, access, update, reader);
    }
    PageTable const* const table = context.tables.serving(input);
    if (table == nullptr) return {.reason = Reason::not_mapped, .where = this};
    return walk_through_parent(*this, *table, input, access, update, reader);
  });
}

std::expected<std::shared_ptr<ContextDomain::Context const>, Translation> ContextDomain::find(Key pasid) const {
  std::uint64_t version = 0;
  {
    SharedLock const lock(mutex_);
    if (auto const at = kept_.find(pasid); at != kept_.end()) return at->second;
    version = version_;
  }
  auto context = read(pasid);
  if (!context) return context;
  // What was read before a forgetting serves this one translation, which nobody keeps either: the generation is another by then.
  auto const keep = guarded([&]() -> Result<void> {
    Lock const lock(mutex_);
    if (version_ != version) return {};
    if (kept_.size() >= most_contexts) kept_.erase(kept_.begin());
    kept_.try_emplace(pasid, *context);
    return {};
  });
  std::ignore = keep;  // without memory it is read again next time
  return context;
}

std::expected<std::shared_ptr<ContextDomain::Context const>, Translation> ContextDomain::read(Key pasid) const {
  auto const configuration = source_->find(0, pasid);
  if (!configuration) {
    ConfigurationFault const& fault = configuration.error();
    return std::unexpected(Translation{
        .reason = Reason::configuration, .where = this, .walk = {.entry_address = fault.entry_address, .entry = fault.entry}});
  }
  auto made = guarded([&]() -> Result<std::shared_ptr<Context const>> {
    auto context = std::make_shared<Context>();
    context->limits = {configuration->aperture, configuration->rights};
    if (configuration->kind == DeviceConfiguration::Kind::bypass) {
      context->base = configuration->bypass_base;
      return context;
    }
    auto tables = UserTables::open(configuration->user, configuration->user_upper, *parent());
    if (!tables) return std::unexpected(std::move(tables).error());
    context->tables = std::move(*tables);
    return context;
  });
  if (!made) return std::unexpected(Translation{.reason = Reason::configuration, .where = this});
  return std::move(*made);
}

}  // namespace swiommu

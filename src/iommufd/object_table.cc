#include "iommufd/object_table.h"

#include <fmt/format.h>

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t largest_id = 0x7fffffff;

}  // namespace

char const* name(ObjectType type) {
  switch (type) {
    case ObjectType::device: return "device";
    case ObjectType::hwpt_paging: return "paging HWPT";
    case ObjectType::hwpt_nested: return "nested HWPT";
    case ObjectType::ioas: return "IOAS";
    case ObjectType::access: return "access";
    case ObjectType::fault_queue: return "fault queue";
    case ObjectType::viommu: return "vIOMMU";
    case ObjectType::vdevice: return "vDEVICE";
    case ObjectType::event_queue: return "event queue";
    case ObjectType::hw_queue: return "HW queue";
    case ObjectType::mock_device: return "mock device";
  }
  return "object";
}

NewObject::~NewObject() {
  if (table_ == nullptr) return;
  table_->remove(*object_);
}

void NewObject::publish() noexcept {
  table_->objects_.find(object_->id())->second.published = true;
  table_ = nullptr;
}

Result<NewObject> ObjectTable::add(std::shared_ptr<Object> object) {
  return guarded([&]() -> Result<NewObject> {
    std::uint32_t id = lowest_free_;
    auto hint = objects_.lower_bound(id);
    for (; hint != objects_.end() && hint->first == id; ++hint) id++;
    if (id > largest_id) return fail(ENOMEM, "all ids of this file are taken");
    objects_.emplace_hint(hint, id, Slot{object, false});
    object->id_ = id;
    lowest_free_ = id + 1;
    return NewObject(*this, std::move(object));
  });
}

std::shared_ptr<Object> ObjectTable::lookup(std::uint32_t id) const {
  auto const at = objects_.find(id);
  return at != objects_.end() && at->second.published ? at->second.object : nullptr;
}

std::unexpected<Error> ObjectTable::not_found(std::uint32_t id, char const* wanted, Object const* found) const {
  if (found != nullptr) return fail(ENOENT, fmt::format("object {} is a {}, not a {}", id, name(found->type()), wanted));
  return fail(ENOENT, fmt::format("there is no object {} ({})", id, wanted));
}

Result<void> ObjectTable::destroy(std::uint32_t id) {
  auto const object = lookup(id);
  if (!object) return fail(ENOENT, fmt::format("there is no object {}", id));
  if (object->users() != 0)
    return fail(EBUSY, fmt::format("{} {} is in use: {} more need it", name(object->type()), id, object->users()));
  remove(*object);
  return {};
}

void ObjectTable::remove(Object const& object, bool tombstone) noexcept {
  auto const at = objects_.find(object.id());
  if (at == objects_.end() || at->second.object.get() != &object) return;
  auto const held = std::move(at->second.object);  // dies when the table no longer has it
  if (tombstone) {
    at->second = {nullptr, false};
    return;
  }
  lowest_free_ = std::min(lowest_free_, at->first);
  objects_.erase(at);
}

void ObjectTable::clear() noexcept {
  for (bool removed = true; removed;) {
    removed = false;
    // A destructor may take other objects out: start again after each pass.
    for (auto at = objects_.begin(); at != objects_.end();) {
      auto const next_id = at->first + 1;
      if (at->second.object == nullptr || at->second.object->users() == 0) {
        auto const held = std::move(at->second.object);
        objects_.erase(at);
        removed = true;
      }
      at = objects_.lower_bound(next_id);
    }
  }
  lowest_free_ = 1;
}

}  // namespace swiommu::iommufd

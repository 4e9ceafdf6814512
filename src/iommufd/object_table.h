// The objects of one file, by id. Ids are given lowest first and used again at once, as Linux does; 0 is none.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "iommufd/object.h"
#include "swiommu/base/result.h"

namespace swiommu::iommufd {

class ObjectTable;

// An object that has its id already, but that nobody finds before publish(). Gives the id back otherwise.
class NewObject {
 public:
  NewObject(NewObject&& other) noexcept : table_(std::exchange(other.table_, nullptr)), object_(std::move(other.object_)) {}
  NewObject& operator=(NewObject&&) = delete;
  ~NewObject();
  [[nodiscard]] std::uint32_t id() const { return object_->id(); }
  // Never fails. Called at most once.
  void publish() noexcept;

 private:
  friend class ObjectTable;
  NewObject(ObjectTable& table, std::shared_ptr<Object> object) : table_(&table), object_(std::move(object)) {}
  ObjectTable* table_;
  std::shared_ptr<Object> object_;
};

// No locking: guarded by the file's mutex.
class ObjectTable {
 public:
  ObjectTable() = default;
  ObjectTable(ObjectTable const&) = delete;
  ObjectTable& operator=(ObjectTable const&) = delete;
  ~ObjectTable() { clear(); }

  // Gives the object the lowest free id. ENOMEM, also when all 2^31 - 1 ids are taken.
  Result<NewObject> add(std::shared_ptr<Object> object);

  // ENOENT: no such object, or one of another type.
  template <class T>
  Result<std::shared_ptr<T>> find(std::uint32_t id) const {
    auto object = lookup(id);
    if (object && object->type() == T::object_type) return std::static_pointer_cast<T>(std::move(object));
    return not_found(id, name(T::object_type), object.get());
  }
  // Any type; nullptr if there is none.
  [[nodiscard]] std::shared_ptr<Object> lookup(std::uint32_t id) const;

  // DESTROY. ENOENT; EBUSY: it has users, and what they are is in the words.
  Result<void> destroy(std::uint32_t id);

  // Takes an object out, whoever uses it; it dies with its last user. `tombstone`: its id is never given again, until clear().
  void remove(Object const& object, bool tombstone = false) noexcept;

  // Destroys everything, leaves first: again and again what has no users.
  void clear() noexcept;

  [[nodiscard]] bool empty() const { return objects_.empty(); }
  // Calls `visit(shared_ptr<T> const&)` for each published object of the type, in the order of ids.
  template <class T, class Visit>
  void for_each(Visit visit) const {
    for (auto const& [id, slot] : objects_)
      if (slot.published && slot.object->type() == T::object_type) visit(std::static_pointer_cast<T>(slot.object));
  }

 private:
  friend class NewObject;
  struct Slot {
    std::shared_ptr<Object> object;  // nullptr: a tombstone
    bool published = false;
  };
  [[nodiscard]] std::unexpected<Error> not_found(std::uint32_t id, char const* wanted, Object const* found) const;

  std::map<std::uint32_t, Slot> objects_;
  std::uint32_t lowest_free_ = 1;  // no smaller id is free
};

}  // namespace swiommu::iommufd

// What has an id in a file: DESTROY takes it, other calls name it.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace swiommu::iommufd {

enum class ObjectType : std::uint8_t {
  device,
  hwpt_paging,
  hwpt_nested,
  ioas,
  access,
  fault_queue,
  viommu,
  vdevice,
  event_queue,
  hw_queue,
  mock_device,
};
char const* name(ObjectType type);

// An object has a static constexpr ObjectType object_type, unless it is looked up by its base.
// Destructors run when the object is out of the table and nobody uses it any more; they never fail.
class Object {
 public:
  explicit Object(ObjectType type) : type_(type) {}
  Object(Object const&) = delete;
  Object& operator=(Object const&) = delete;
  virtual ~Object() = default;

  [[nodiscard]] ObjectType type() const { return type_; }
  [[nodiscard]] std::uint32_t id() const { return id_; }
  // Others that need it. DESTROY gives EBUSY unless this is 0.
  [[nodiscard]] std::uint32_t users() const { return users_.load(std::memory_order_relaxed); }

 private:
  friend class ObjectTable;
  template <class T>
  friend class Use;

  ObjectType const type_;
  std::uint32_t id_ = 0;  // 0: in no table
  std::atomic<std::uint32_t> users_ = 0;
};

// Needs an object: keeps it alive, and counts as a user.
template <class T>
class Use {
 public:
  Use() = default;
  explicit Use(std::shared_ptr<T> object) : object_(std::move(object)) {
    if (object_) object_->users_.fetch_add(1, std::memory_order_relaxed);
  }
  Use(Use const& other) : Use(other.object_) {}
  Use(Use&& other) noexcept : object_(std::move(other.object_)) { other.object_ = nullptr; }
  Use& operator=(Use other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Use() {
    if (object_) object_->users_.fetch_sub(1, std::memory_order_relaxed);
  }

  [[nodiscard]] std::shared_ptr<T> const& get() const { return object_; }
  T* operator->() const { return object_.get(); }
  T& operator*() const { return *object_; }
  explicit operator bool() const { return object_ != nullptr; }

 private:
  std::shared_ptr<T> object_;
};

}  // namespace swiommu::iommufd

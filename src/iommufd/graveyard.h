// Objects whose last user outside of the file is gone, perhaps, but may have gone without the file's mutex: they die later, under
// it.
#pragma once
#include <atomic>
#include <list>
#include <memory>

#include "iommufd/object.h"
#include "swiommu/base/mutex.h"

namespace swiommu::iommufd {

class Graveyard {
 public:
  // A Use that may be given up by any thread, whatever it has locked.
  template <class T>
  class Tenant {
   public:
    Tenant(Graveyard& graveyard, std::shared_ptr<T> object) : graveyard_(graveyard), use_(std::move(object)), place_(1) {}
    Tenant(Tenant const&) = delete;
    Tenant& operator=(Tenant const&) = delete;
    ~Tenant() {
      place_.front() = use_.get();
      use_ = {};
      graveyard_.add(place_);
    }
    T* operator->() const { return use_.get().get(); }

   private:
    Graveyard& graveyard_;
    Use<T> use_;
    std::list<std::shared_ptr<Object>> place_;  // one element
  };

  // Mutex of the file held.
  void clear() noexcept {
    if (!occupied_.load(std::memory_order_acquire)) return;
    std::list<std::shared_ptr<Object>> dead;
    Lock const lock(mutex_);
    dead.swap(places_);
    occupied_.store(false, std::memory_order_relaxed);
  }

 private:
  void add(std::list<std::shared_ptr<Object>>& place) noexcept {
    Lock const lock(mutex_);
    places_.splice(places_.end(), place);
    occupied_.store(true, std::memory_order_release);
  }

  Mutex mutex_;  // nothing is locked inside
  std::list<std::shared_ptr<Object>> places_ SWIOMMU_GUARDED_BY(mutex_);
  std::atomic<bool> occupied_ = false;
};

}  // namespace swiommu::iommufd

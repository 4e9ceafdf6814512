// Makes memory allocations of this thread fail, to test what happens then.
//
//   FailingNew failing(3);
//   call();               // the 4th operator new of this thread throws, and all after it
#pragma once
#include <cstdint>

namespace swiommu {

class FailingNew {
 public:
  // After `successes` more calls of operator new on this thread they fail, until this object goes or allow() is called.
  explicit FailingNew(std::uint64_t successes) noexcept;
  ~FailingNew();
  FailingNew(FailingNew const&) = delete;
  FailingNew& operator=(FailingNew const&) = delete;

  void allow() noexcept;                       // from here on allocations succeed
  [[nodiscard]] bool failed() const noexcept;  // has an allocation failed?

 private:
  bool failed_ = false;
};

}  // namespace swiommu

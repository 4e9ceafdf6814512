// A reference to something callable, for callbacks that do not outlive the call. Costs no allocation.
#pragma once
#include <memory>
#include <type_traits>
#include <utility>

namespace swiommu {

template <class Signature>
class FunctionRef;

template <class R, class... Arguments>
class FunctionRef<R(Arguments...)> {
 public:
  template <class Callable>
    requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> && std::is_invocable_r_v<R, Callable&, Arguments...>)
  FunctionRef(Callable&& callable) noexcept  // implicit: it stands in for the callable
      : object_(const_cast<void*>(static_cast<void const*>(std::addressof(callable)))),
        call_([](void* object, Arguments... arguments) -> R {
          return (*static_cast<std::remove_reference_t<Callable>*>(object))(std::forward<Arguments>(arguments)...);
        }) {}

  R operator()(Arguments... arguments) const { return call_(object_, std::forward<Arguments>(arguments)...); }

 private:
  void* object_;
  R (*call_)(void*, Arguments...);
};

}  // namespace swiommu

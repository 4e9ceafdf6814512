// Takes back a step unless told to keep it, however the scope is left.
#pragma once
#include <utility>

namespace swiommu {

// Undo unpin([&] { pages.unpin(0, 9); });   ...   unpin.keep();
template <class Action>
class [[nodiscard]] Undo {
 public:
  explicit Undo(Action action) : action_(std::move(action)) {}
  Undo(Undo const&) = delete;
  Undo& operator=(Undo const&) = delete;
  ~Undo() {
    if (armed_) action_();
  }
  void keep() { armed_ = false; }

 private:
  Action action_;
  bool armed_ = true;
};

}  // namespace swiommu

#include "device/page_waits.h"

#include <algorithm>

namespace swiommu {

void PageWaits::set_target(std::weak_ptr<PageRequestTarget> target) noexcept {
  Lock const lock(mutex_);
  target_.swap(target);
}

std::shared_ptr<PageRequestTarget> PageWaits::target() const noexcept {
  Lock const lock(mutex_);
  return target_.lock();
}

std::optional<std::uint32_t> PageWaits::begin(bool waits) noexcept {
  Lock const lock(mutex_);
  auto* const group = std::ranges::find(groups_, State::free);
  if (group == groups_.end()) return std::nullopt;
  *group = waits ? State::awaited : State::asked;
  return first_port_group + static_cast<std::uint32_t>(group - groups_.begin());
}

PageResponse::Code PageWaits::await(std::uint32_t group) noexcept {
  Lock const lock(mutex_);
  State& state = groups_[group - first_port_group];
  while (state == State::awaited) changed_.wait(mutex_);
  bool const succeeded = state == State::succeeded;
  state = state == State::given_up ? State::asked : State::free;
  return succeeded ? PageResponse::Code::success : PageResponse::Code::invalid;
}

bool PageWaits::answer(PageResponse const& response) noexcept {
  if (response.group < first_port_group || response.group >= page_request_groups) return false;
  Lock const lock(mutex_);
  State& state = groups_[response.group - first_port_group];
  switch (state) {
    case State::awaited: state = response.code == PageResponse::Code::success ? State::succeeded : State::failed; break;
    case State::given_up: state = State::failed; return true;
    case State::asked: state = State::free; return false;
    default: return false;
  }
  changed_.notify_all();
  return true;
}

void PageWaits::give_up() noexcept {
  Lock const lock(mutex_);
  std::ranges::replace(groups_, State::awaited, State::given_up);
  changed_.notify_all();
}

}  // namespace swiommu

// Waits for an eventfd that a program signals, on a thread of its own.
#pragma once
#include <functional>
#include <memory>
#include <thread>

#include "swiommu/base/descriptor.h"
#include "swiommu/base/result.h"
#include "vfio/event_descriptor.h"

namespace swiommu::vfio {

class EventWatcher {
 public:
  // `signalled` is called after each signal, and for one that came before, on the thread; it must not throw. EMFILE; EAGAIN: no
  // thread; ENOMEM.
  static Result<std::unique_ptr<EventWatcher>> start(EventDescriptor event, std::function<void()> signalled);
  // Waits for a call that is under way.
  ~EventWatcher();
  EventWatcher(EventWatcher const&) = delete;
  EventWatcher& operator=(EventWatcher const&) = delete;

 private:
  EventWatcher(EventDescriptor event, Descriptor stop, std::function<void()> signalled)
      : event_(std::move(event)), stop_(std::move(stop)), signalled_(std::move(signalled)) {}
  void run() const;

  EventDescriptor const event_;
  Descriptor const stop_;  // an eventfd of our own
  std::function<void()> const signalled_;
  std::thread thread_;
};

}  // namespace swiommu::vfio

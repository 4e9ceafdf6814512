// The threads that work for other processes: one that waits for holders to say hello and for files that nobody holds any more,
// and one for each connection. None is there before another process can have a descriptor.
#pragma once
#include <atomic>
#include <mutex>

namespace swiommu::run {

class Owner;
class OwnFile;

// Lives until the process ends.
class Service {
 public:
  explicit Service(Owner& owner);

  void watch(OwnFile const& file);
  void start();

 private:
  static void* wait_for_events(void* service);
  void greet(OwnFile& file);

  Owner& owner_;
  int const events_;  // epoll, with the number of the file
  std::mutex mutex_;
  bool started_ = false;
};

}  // namespace swiommu::run

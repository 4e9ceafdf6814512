// What is behind the descriptor of a fault queue or an event queue. As long as it is open the queue is in use, and so is the
// file.
#pragma once
#include <memory>

#include "iommufd/file.h"
#include "iommufd/object.h"
#include "swiommu/iommufd/open_file.h"

namespace swiommu::iommufd {

template <class Queue>
class QueueFile final : public OpenFile {
 public:
  QueueFile(std::shared_ptr<File> file, std::shared_ptr<Queue> queue)
      : file_(std::move(file)), queue_(file_->graveyard(), std::move(queue)) {}
  ~QueueFile() override { queue_->on_readable({}); }

  char const* name() const override { return Queue::file_name; }
  Result<std::uint64_t> read(Caller& caller, std::uint64_t to, std::uint64_t length) override {
    return queue_->read(caller, to, length);
  }
  Result<std::uint64_t> write(Caller& caller, std::uint64_t from, std::uint64_t length) override {
    if constexpr (requires { queue_->write(caller, from, length); }) return queue_->write(caller, from, length);
    return OpenFile::write(caller, from, length);
  }
  [[nodiscard]] bool readable() const override { return queue_->readable(); }
  void on_readable(std::function<void(bool)> changed) override { queue_->on_readable(std::move(changed)); }

 private:
  std::shared_ptr<File> const file_;
  Graveyard::Tenant<Queue> queue_;
};

// Installs a descriptor for a queue, lets `finish(descriptor)` write it to the caller, and takes it back if that fails.
template <class Queue, class Finish>
Result<void> give_descriptor(File& file, Caller& caller, std::shared_ptr<Queue> queue, Finish finish) {
  auto const descriptor = caller.install(std::make_shared<QueueFile<Queue>>(file.shared_from_this(), std::move(queue)));
  auto finished = descriptor ? finish(*descriptor) : std::unexpected(descriptor.error());
  if (finished) return finished;
  if (descriptor) caller.uninstall(*descriptor);
  file.graveyard().clear();  // this thread has the mutex
  return finished;
}

}  // namespace swiommu::iommufd

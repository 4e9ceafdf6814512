#include "iommufd/selftest/test_buffer.h"

#include <algorithm>

namespace swiommu::iommufd::selftest {

class TestBuffer::Part final : public Backing {
 public:
  Part(std::shared_ptr<TestBuffer const> buffer, std::uint64_t start, std::uint64_t length, bool writable)
      : Backing(buffer->engine_->addresses(), buffer->memory_->host_address(start), length, writable),
        buffer_(std::move(buffer)) {}
  // All of a buffer is in a row in the machine.
  [[nodiscard]] unsigned page_size_lg2() const override { return 63; }

 private:
  std::shared_ptr<TestBuffer const> const buffer_;
};

Result<std::shared_ptr<TestBuffer>> TestBuffer::create(std::shared_ptr<Engine> engine, std::uint64_t length) {
  return guarded([&]() -> Result<std::shared_ptr<TestBuffer>> {
    auto memory = SharedMemory::create(engine->addresses(), length);
    if (!memory) return std::unexpected(std::move(memory).error());
    return std::shared_ptr<TestBuffer>(new TestBuffer(std::move(engine), std::move(*memory)));
  });
}

Result<std::shared_ptr<Pages>> TestBuffer::pages(Engine& engine, std::uint64_t start, std::uint64_t length, bool writable,
                                                 std::int32_t process) {
  return guarded([&]() -> Result<std::shared_ptr<Pages>> {
    if (&engine != engine_.get()) return fail(EOPNOTSUPP, "a buffer of another machine");
    Lock const lock(mutex_);
    if (revoked_) return fail(ENODEV, "the buffer is revoked");
    auto part = std::make_unique<Part>(shared_from_this(), start, length, writable);
    auto pages = std::make_shared<Pages>(std::move(part), nullptr,
                                         Origin{.kind = Origin::Kind::device, .address = start, .process = process});
    std::erase_if(given_, [](auto const& given) { return given.expired(); });
    given_.push_back(pages);
    return pages;
  });
}

void TestBuffer::revoke(bool revoked) {
  std::vector<std::weak_ptr<Pages>> given;
  {
    Lock const lock(mutex_);
    revoked_ = revoked;
    given.swap(given_);
  }
  for (auto const& weak : given)
    if (auto const pages = weak.lock()) pages->revoke();
}

}  // namespace swiommu::iommufd::selftest

// An engine, a caller, and an opened /dev/iommu, to be called with the structures of the uapi.
#pragma once
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <bit>
#include <cstring>

#include "fake_caller.h"
#include "iommufd/file.h"
#include "iommufd/ioas.h"
#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::iommufd {

class IommufdTest : public testing::Test {
 protected:
  explicit IommufdTest(Profile profile = {}) : engine_(Engine::create(std::move(profile)).value()) {}

  static constexpr std::uint64_t page = 4096;

  // 0, or the errno. A successful call must return 0.
  template <class Structure>
  int call(std::uint32_t request, Structure& structure, Caller* caller = nullptr) {
    return call_at(request, &structure, caller);
  }
  int call_at(std::uint32_t request, void const* structure, Caller* caller = nullptr) {
    auto const result = file_->ioctl(caller != nullptr ? *caller : caller_, request, std::bit_cast<std::uint64_t>(structure));
    words_ = result ? "" : result.error().about;
    if (!result) return result.error().code;
    EXPECT_EQ(*result, 0u);
    return 0;
  }

  std::uint32_t new_ioas() {
    iommu_ioas_alloc alloc{.size = sizeof alloc, .flags = 0, .out_ioas_id = 0};
    EXPECT_EQ(call(IOMMU_IOAS_ALLOC, alloc), 0);
    return alloc.out_ioas_id;
  }
  int destroy(std::uint32_t id) {
    iommu_destroy arguments{.size = sizeof arguments, .id = id};
    return call(IOMMU_DESTROY, arguments);
  }

  static constexpr std::uint32_t read_write = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE;
  static constexpr std::uint32_t fixed = IOMMU_IOAS_MAP_FIXED_IOVA;

  static iommu_ioas_map map_of(std::uint32_t ioas, void const* memory, std::uint64_t length, std::uint64_t iova,
                               std::uint32_t flags = fixed | read_write) {
    return {.size = sizeof(iommu_ioas_map),
            .flags = flags,
            .ioas_id = ioas,
            .__reserved = 0,
            .user_va = std::bit_cast<std::uint64_t>(memory),
            .length = length,
            .iova = iova};
  }
  int map(std::uint32_t ioas, void const* memory, std::uint64_t length, std::uint64_t iova) {
    auto arguments = map_of(ioas, memory, length, iova);
    return call(IOMMU_IOAS_MAP, arguments);
  }
  int unmap(std::uint32_t ioas, std::uint64_t iova, std::uint64_t length, std::uint64_t* unmapped = nullptr) {
    iommu_ioas_unmap arguments{.size = sizeof arguments, .ioas_id = ioas, .iova = iova, .length = length};
    int const code = call(IOMMU_IOAS_UNMAP, arguments);
    if (unmapped != nullptr) *unmapped = arguments.length;
    return code;
  }

  std::shared_ptr<Ioas> ioas(std::uint32_t id) {
    Lock const lock(file().mutex());
    return file().objects().find<Ioas>(id).value();
  }
  [[nodiscard]] File& file() const { return static_cast<File&>(*file_); }

  // Memory of the caller, page aligned, gone with the test.
  std::byte* memory(std::uint64_t length, int flags = MAP_PRIVATE | MAP_ANONYMOUS) {
    void* const data = ::mmap(nullptr, length, PROT_READ | PROT_WRITE, flags, -1, 0);
    EXPECT_NE(data, MAP_FAILED);
    mapped_.emplace_back(data, length);
    return static_cast<std::byte*>(data);
  }

  std::shared_ptr<Engine> engine_;
  FakeCaller caller_{*engine_};
  std::shared_ptr<OpenFile> file_ = engine_->open().value();
  std::string words_;  // of the last error

  void TearDown() override {
    file_.reset();
    for (auto const& [data, length] : mapped_) ::munmap(data, length);
  }

 private:
  std::vector<std::pair<void*, std::uint64_t>> mapped_;
};

}  // namespace swiommu::iommufd

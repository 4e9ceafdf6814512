// Page tables of real guests as nested HWPTs, made through ioctls alone: what a device's DMA reaches is what was recorded.
//
// A VMM's part is played here: it maps guest memory into an IOAS, reads in the guest's structures what the guest asks for, hands
// that to the HWPT, and attaches the device.
#include "backed_guest.h"
#include "corpus_case.h"
#include "iommufd_device_fixture.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

bool is_nestable(FormatName format) {
  return format != FormatName::vtd_second_stage && format != FormatName::amd_v1 && format != FormatName::arm_stage2;
}

std::uint32_t raw_format(FormatName format) {
  switch (format) {
    case FormatName::vtd_second_stage: return SWIOMMU_FORMAT_VTD_SECOND_STAGE;
    case FormatName::x86_64: return SWIOMMU_FORMAT_X86_64;
    case FormatName::amd_v1: return SWIOMMU_FORMAT_AMD_V1;
    case FormatName::arm_stage1: return SWIOMMU_FORMAT_ARM_STAGE1;
    case FormatName::arm_stage2: return SWIOMMU_FORMAT_ARM_STAGE2;
    case FormatName::riscv: return SWIOMMU_FORMAT_RISCV;
    case FormatName::riscv_x4: return SWIOMMU_FORMAT_RISCV_X4;
    case FormatName::s390_zpci: return SWIOMMU_FORMAT_S390_ZPCI;
  }
  return ~0u;
}

class NestedCorpus : public IommufdDeviceTest, public testing::WithParamInterface<std::string> {
 protected:
  void SetUp() override {
    auto read = tools::read_case(GetParam());
    ASSERT_TRUE(read) << read.error().message();
    case_ = *std::move(read);
    image_ = MemoryImage::load(case_.memory).value();
    auto found = find_device(case_, *image_);
    ASSERT_TRUE(found) << found.error().about;
    configuration_ = *std::move(found);
    Json const recorded = read_json(std::filesystem::path(GetParam()) / "case.json");
    mappings_ = read_mappings(recorded["mappings"]);
    samples_ = read_samples(recorded["samples"]);
    physical_ = new_physical({.pasid_bits = 20, .driver = driver_of_case()});
    device_ = bind(physical_);
    back_guest();
    space_ = new_ioas();
    for (auto const& piece : guest_.pieces())
      ASSERT_EQ(map(space_, piece.data, piece.guest.length(), piece.guest.start), 0) << words_;
    parent_ = new_hwpt(*device_, space_, IOMMU_HWPT_ALLOC_NEST_PARENT);
  }
  void TearDown() override {
    device_ = nullptr;
    physical_ = nullptr;
    IommufdDeviceTest::TearDown();
  }

  // The builtin profile of the hardware, with what the guest's tables need.
  std::shared_ptr<Driver> driver_of_case() const {
    if (case_.iommu == "vtd") return driver_of("intel-vtd");
    if (case_.iommu == "amd") return driver_of("amd");
    if (case_.iommu == "smmu") return driver_of("arm-smmuv3");
    if (case_.iommu == "s390") return driver_of("s390-zpci");
    // Sv39, Sv48, Sv57, and all of them x4; Svpbmt, accessed and dirty updates, 56 bits, process directories
    return driver_of("riscv", {{"capabilities", 0x10 | bit_span(11, 9) | bit(15) | bit_span(19, 17) | bit(24) |
                                                    std::uint64_t{56} << 32 | bit_span(40, 38)}});
  }

  // The image, and of each mapping the ends and the middle: gigabytes are mapped. Not where devices cannot reach memory, as at
  // the doorbells that Arm guests map.
  void back_guest() {
    for (Range const& segment : image_->segments())
      for (std::uint64_t at = align_down(segment.start, 12); at <= segment.last; at += page) guest_.want(at);
    for (RecordedMapping const& m : mappings_)
      for (std::uint64_t const at : {std::uint64_t{0}, m.range.length() / 2, m.range.length() - 1}) guest_.want(m.output + at);
    for (RecordedSample const& sample : samples_)
      if (sample.output) guest_.want(*sample.output);
    if (case_.iommu != "s390")
      for (ReservedIovas const& reserved : physical_->reserved()) guest_.leave_out(reserved.iovas);
    guest_.back(*image_);
  }

  template <class Data>
  std::uint32_t alloc_hwpt(std::uint32_t on, std::uint32_t type, Data const& data) {
    auto arguments = nested_of(device_->id(), on, data, 0, type);
    EXPECT_EQ(call(IOMMU_HWPT_ALLOC, arguments), 0) << words_;
    return arguments.out_hwpt_id;
  }
  std::uint32_t alloc_viommu(std::uint32_t type) {
    std::uint32_t const viommu = new_viommu(*device_, parent_, type);
    EXPECT_EQ(vdevice(viommu, device_->id(), case_.device), 0) << words_;
    return viommu;
  }
  // The words of the structure that the hardware found on the way, as the manual calls it.
  std::vector<std::uint64_t> structure(std::string_view what) const {
    for (ConfigurationStep const& step : configuration_.steps)
      if (step.what == what) return step.words;
    ADD_FAILURE() << "no " << what;
    return std::vector<std::uint64_t>(8);
  }
  std::uint32_t alloc_native() {
    if (case_.iommu == "vtd") {
      iommu_hwpt_vtd_s1 const data{.flags = 0,
                                   .pgtbl_addr = configuration_.user->root,
                                   .addr_width = configuration_.user->format.levels == 5 ? 57u : 48u,
                                   .__reserved = 0};
      return alloc_hwpt(parent_, IOMMU_HWPT_DATA_VTD_S1, data);
    }
    if (case_.iommu == "smmu") {
      auto const ste = structure("STE");
      iommu_hwpt_arm_smmuv3 const data{{ste[0], ste[1]}};
      return alloc_hwpt(alloc_viommu(IOMMU_VIOMMU_TYPE_ARM_SMMUV3), IOMMU_HWPT_DATA_ARM_SMMUV3, data);
    }
    if (case_.iommu == "riscv") {
      auto const context = structure("DC");
      swiommu_hwpt_riscv const data{.tc = context[0], .ta = context[2], .fsc = context[3]};
      return alloc_hwpt(alloc_viommu(SWIOMMU_VIOMMU_TYPE_RISCV), SWIOMMU_HWPT_DATA_RISCV, data);
    }
    swiommu_hwpt_zpci const data{.iota = structure("IOTA")[0], .pba = 0, .pal = ~std::uint64_t{0}};
    return alloc_hwpt(parent_, SWIOMMU_HWPT_DATA_ZPCI, data);
  }
  std::uint32_t alloc_raw(std::uint32_t flags = 0) {
    UserPageTable const& table = *configuration_.user;
    if (table.big_endian) flags |= SWIOMMU_RAW_BIG_ENDIAN;
    swiommu_hwpt_raw const data{.format = raw_format(table.format.format),
                                .flags = flags,
                                .root = table.root,
                                .levels = static_cast<std::uint8_t>(table.format.levels),
                                .granule_lg2 = static_cast<std::uint8_t>(table.format.granule_lg2),
                                .input_bits = static_cast<std::uint8_t>(table.format.input_bits),
                                .output_bits = static_cast<std::uint8_t>(table.format.output_bits),
                                .__reserved = 0,
                                .memory_attributes = table.format.memory_attributes};
    return alloc_hwpt(parent_, SWIOMMU_HWPT_DATA_RAW, data);
  }

  // Where an access ends according to the recording; nothing: a fault.
  std::optional<std::uint64_t> recorded(std::uint64_t iova, Access access) const {
    auto const above = std::ranges::upper_bound(mappings_, iova, {}, [](RecordedMapping const& m) { return m.range.start; });
    if (above == mappings_.begin()) return std::nullopt;
    RecordedMapping const& m = *std::prev(above);
    if (!m.range.contains(iova) || !m.access.covers(access)) return std::nullopt;
    return m.output + (iova - m.range.start);
  }

  // The device reads or writes one byte: it reaches the byte of guest memory behind `output`, or faults.
  void expect_dma(Port& port, std::uint64_t iova, Access access, std::optional<std::uint64_t> output) {
    SCOPED_TRACE(testing::Message() << std::hex << "iova 0x" << iova << (access.write ? " write" : " read"));
    std::byte* const there = output ? guest_.data(*output) : nullptr;
    std::byte byte{};
    if (access.write) {
      std::byte const before = there != nullptr ? *there : std::byte{};
      byte = ~before;
      bool const reached = port.write(Iova(iova), &byte, 1).ok();
      EXPECT_EQ(reached, there != nullptr);
      if (there == nullptr) return;
      EXPECT_EQ(*there, byte);
      *there = before;
    } else {
      bool const reached = port.read(Iova(iova), &byte, 1).ok();
      EXPECT_EQ(reached, there != nullptr);
      if (there == nullptr || !reached) return;
      EXPECT_EQ(byte, *there);
      // The place itself, not another one with the same value.
      Port::Guard const guard(port);
      auto const chunk = port.translate(guard, Iova(iova), access);
      ASSERT_TRUE(chunk);
      EXPECT_EQ(chunk->data, there);
    }
  }

  void expect_all(std::uint32_t hwpt) {
    ASSERT_EQ(attach(*device_, hwpt), 0) << words_;
    auto const port = physical_->device()->open_port().value();
    for (Access const access : {Access::reading(), Access::writing()}) {
      for (RecordedMapping const& m : mappings_)
        for (std::uint64_t const iova :
             {m.range.start - 1, m.range.start, m.range.start + m.range.length() / 2, m.range.last, m.range.last + 1})
          expect_dma(*port, iova, access, recorded(iova, access));
    }
    for (RecordedSample const& sample : samples_) {
      expect_dma(*port, sample.iova, sample.access, sample.output);
      if (!sample.access.read || sample.content.empty()) continue;
      std::vector<std::byte> bytes(sample.content.size());
      EXPECT_TRUE(port->read(Iova(sample.iova), bytes.data(), bytes.size()).ok());
      EXPECT_EQ(bytes, sample.content);
    }
    EXPECT_FALSE(mappings_.empty() || samples_.empty());
  }

  tools::Case case_;
  std::unique_ptr<MemoryImage> image_;
  DeviceConfiguration configuration_;
  std::vector<RecordedMapping> mappings_;
  std::vector<RecordedSample> samples_;
  BackedGuest guest_;
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0, parent_ = 0;
};

TEST_P(NestedCorpus, DmaThroughTheHardwaresOwnNestedHwptIsAsRecorded) {
  if (!is_nestable(configuration_.user->format.format)) GTEST_SKIP() << "no hardware nests tables of this kind";
  expect_all(alloc_native());
}

TEST_P(NestedCorpus, DmaThroughARawNestedHwptIsAsRecorded) { expect_all(alloc_raw()); }

TEST_P(NestedCorpus, DmaThroughAShadowIsAsRecorded) { expect_all(alloc_raw(SWIOMMU_RAW_SHADOW)); }

// What a VMM does with a table that cannot be nested: each entry becomes a mapping.
TEST_P(NestedCorpus, DmaThroughAReplayedTableIsAsRecorded) {
  if (is_nestable(configuration_.user->format.format)) GTEST_SKIP() << "hardware nests tables of this kind";
  std::uint32_t const replayed = new_ioas();
  for (RecordedMapping const& m : mappings_) {
    for (BackedGuest::Piece const& piece : guest_.pieces()) {
      std::uint64_t const first = std::max(piece.guest.start, m.output);
      std::uint64_t const last = std::min(piece.guest.last, m.output + (m.range.length() - 1));
      if (first > last) continue;
      std::uint32_t rights = fixed;
      if (m.access.read) rights |= IOMMU_IOAS_MAP_READABLE;
      if (m.access.write) rights |= IOMMU_IOAS_MAP_WRITEABLE;
      auto arguments = map_of(replayed, piece.data + (first - piece.guest.start), last - first + 1,
                              m.range.start + (first - m.output), rights);
      ASSERT_EQ(call(IOMMU_IOAS_MAP, arguments), 0) << words_;
    }
  }
  // The flags choose a table of the kind that the guest had.
  std::uint32_t const flags = case_.iommu == "vtd"    ? std::uint32_t{IOMMU_HWPT_ALLOC_DIRTY_TRACKING}
                              : case_.iommu == "smmu" ? std::uint32_t{IOMMU_HWPT_ALLOC_NEST_PARENT}
                                                      : 0;
  expect_all(new_hwpt(*device_, replayed, flags));
}

INSTANTIATE_TEST_SUITE_P(Guests, NestedCorpus, testing::ValuesIn(corpus_folders(false)), corpus_test_name);

}  // namespace
}  // namespace swiommu::iommufd

// What a profile says, and what /dev/iommu says of a device behind the driver that is made of it: the same, for each profile.
#include "swiommu/iommufd/make_driver.h"

#include "failing_new.h"
#include "iommufd_device_fixture.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {
namespace {

constexpr std::uint32_t parent = IOMMU_HWPT_ALLOC_NEST_PARENT, dirty = IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
                        pasid = IOMMU_HWPT_ALLOC_PASID;
constexpr std::uint32_t selftest_nested = 0xdead, selftest_viommu = 0xdeadbeef;

// Names of builtin profiles, and what users may write.
constexpr char const* builtin[] = {"intel-vtd",       "arm-smmuv3",         "amd", "riscv", "s390-zpci",
                                   "kernel-selftest", "kernel-selftest-7.3"};
constexpr char const* restricted_vtd = R"({
  "base": "intel-vtd",
  "paging": {"usual": {"aperture": {"start": "0x100000", "last": "0xffffffffff"}, "page_sizes": ["4K"]}},
  "max_pasids": 256, "pasid_privileged": false, "ats": false, "dirty_tracking": false, "nested": [],
  "reserved": [{"start": "0x200000", "last": "0x2fffff"}]
})";
constexpr char const* written[] = {
    restricted_vtd,
    R"({"base": "intel-vtd", "registers": {"cap": "0xd2078c106f0466", "ecap": "0xf020df"}})",
    R"({"base": "arm-smmuv3", "registers": {"idr3": "0x4"}})",
    R"({"base": "arm-smmuv3", "nested": []})",
    R"({"base": "arm-smmuv3", "registers": {"idr0": "0x19", "idr1": 0}})",
    R"({"base": "amd", "registers": {"efr": "0x0", "efr2": 0}, "ats": false})",
    R"({"base": "amd", "paging": {"nesting_parent": null}, "nested": [], "viommus": [], "reserved": []})",
    R"({"base": "riscv", "nested": [], "viommus": []})",
    R"({"base": "riscv", "registers": {"capabilities": "0x210"}})",
    R"({"base": "s390-zpci", "registers": {"sdma": "0x10000000", "edma": "0x1fffffffffffff"}})",
    R"({"base": "kernel-selftest", "max_pasids": 64, "nested": [], "viommus": [], "paging": {"usual": {"page_sizes": ["2K", "64K"]}}})",
};

class DriverOfProfile : public IommufdDeviceTest {
 protected:
  void use(Profile profile) {
    profile_ = std::move(profile);
    physical_ = new_physical({.pasid_bits = 20, .capabilities = everything, .driver = make_driver(profile_).value()});
    device_ = bind(physical_);
    space_ = new_ioas();
  }
  void TearDown() override {
    device_ = nullptr;
    physical_ = nullptr;
    IommufdDeviceTest::TearDown();
  }
  bool is_selftest() const { return profile_.hardware == Hardware::kernel_selftest; }

  iommu_hw_info hardware_info(std::vector<std::byte>& data, std::uint32_t flags = 0, std::uint32_t type = 0) {
    data.assign(64, std::byte{0xff});
    iommu_hw_info arguments{};
    arguments.size = sizeof arguments;
    arguments.flags = flags;
    arguments.dev_id = device_->id();
    arguments.data_len = 64;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(data.data());
    arguments.in_data_type = type;
    code_ = call(IOMMU_GET_HW_INFO, arguments);
    data.resize(std::min<std::size_t>(data.size(), arguments.data_len));
    return arguments;
  }
  int alloc(std::uint32_t flags, std::uint32_t* id = nullptr) {
    auto arguments = hwpt_of(device_->id(), space_, flags);
    int const result = call(IOMMU_HWPT_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_hwpt_id;
    return result;
  }
  int alloc_nested(std::uint32_t on, std::uint32_t type, std::uint32_t length) {
    std::array<std::uint64_t, 8> const zeros{};
    auto arguments = hwpt_of(device_->id(), on);
    arguments.data_type = type;
    arguments.data_len = length;
    arguments.data_uptr = std::bit_cast<std::uint64_t>(zeros.data());
    return call(IOMMU_HWPT_ALLOC, arguments);
  }
  int alloc_viommu(std::uint32_t on, std::uint32_t type, std::uint32_t* id = nullptr) {
    iommu_viommu_alloc arguments{};
    arguments.size = sizeof arguments;
    arguments.type = type;
    arguments.dev_id = device_->id();
    arguments.hwpt_id = on;
    int const result = call(IOMMU_VIOMMU_ALLOC, arguments);
    if (id != nullptr) *id = arguments.out_viommu_id;
    return result;
  }
  std::vector<iommu_iova_range> iova_ranges() {
    std::vector<iommu_iova_range> ranges(8);
    iommu_ioas_iova_ranges arguments{};
    arguments.size = sizeof arguments;
    arguments.ioas_id = space_;
    arguments.num_iovas = 8;
    arguments.allowed_iovas = std::bit_cast<std::uint64_t>(ranges.data());
    EXPECT_EQ(call(IOMMU_IOAS_IOVA_RANGES, arguments), 0);
    ranges.resize(arguments.num_iovas);
    return ranges;
  }
  int track(std::uint32_t hwpt) {
    iommu_hwpt_set_dirty_tracking arguments{.size = sizeof arguments, .flags = 1, .hwpt_id = hwpt, .__reserved = 0};
    return call(IOMMU_HWPT_SET_DIRTY_TRACKING, arguments);
  }
  std::uint64_t harvest(std::uint32_t hwpt, std::uint64_t iova, std::uint64_t length) {
    std::uint64_t bits = 0;
    iommu_hwpt_get_dirty_bitmap arguments{};
    arguments.size = sizeof arguments;
    arguments.hwpt_id = hwpt;
    arguments.iova = iova;
    arguments.length = length;
    arguments.page_size = page;
    arguments.data = std::bit_cast<std::uint64_t>(&bits);
    EXPECT_EQ(call(IOMMU_HWPT_GET_DIRTY_BITMAP, arguments), 0) << words_;
    return bits;
  }

  static constexpr DeviceCapabilities everything{
      .dirty_tracking = true, .pasid_exec = true, .pasid_priv = true, .ats = true, .page_requests = true};
  Profile profile_;
  std::shared_ptr<PhysicalDevice> physical_;
  std::unique_ptr<BoundDevice> device_;
  std::uint32_t space_ = 0;
  int code_ = 0;  // of hardware_info()
};

class EveryProfileTest : public DriverOfProfile, public testing::WithParamInterface<char const*> {
 protected:
  void SetUp() override {
    std::string const parameter = GetParam();
    use(parameter.starts_with('{') ? parse_profile(parameter, "written.json").value() : load_profile(parameter).value());
  }
};
std::string name_of(testing::TestParamInfo<char const*> const& info) {
  std::string name = info.param[0] == '{' ? "written" + std::to_string(info.index) : info.param;
  std::ranges::replace_if(name, [](char c) { return c == '-' || c == '.'; }, '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Builtin, EveryProfileTest, testing::ValuesIn(builtin), name_of);
INSTANTIATE_TEST_SUITE_P(Written, EveryProfileTest, testing::ValuesIn(written), name_of);

TEST_P(EveryProfileTest, HardwareInformationIsThatOfTheProfile) {
  auto const expected = profile_.information().value();
  std::vector<std::byte> data;
  auto const info = hardware_info(data);
  ASSERT_EQ(code_, 0) << words_;
  EXPECT_EQ(info.out_data_type, expected.type);
  EXPECT_EQ(data, expected.data);
  bool const has_pasids = profile_.max_pasids != 0;
  std::uint64_t const capabilities = (profile_.dirty_tracking ? IOMMU_HW_CAP_DIRTY_TRACKING : 0) |
                                     (profile_.ats ? 0 : IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED) |
                                     (has_pasids && profile_.pasid_exec ? IOMMU_HW_CAP_PCI_PASID_EXEC : 0) |
                                     (has_pasids && profile_.pasid_privileged ? IOMMU_HW_CAP_PCI_PASID_PRIV : 0);
  EXPECT_EQ(info.out_capabilities, capabilities);
  EXPECT_EQ(info.out_max_pasid_log2, profile_.max_pasid_lg2());
  hardware_info(data, IOMMU_HW_INFO_FLAG_INPUT_TYPE, expected.type);
  EXPECT_EQ(code_, 0) << words_;
  hardware_info(data, IOMMU_HW_INFO_FLAG_INPUT_TYPE, 77);
  EXPECT_EQ(code_, expected.type == IOMMU_HW_INFO_TYPE_NONE ? 0 : EOPNOTSUPP);
}

TEST_P(EveryProfileTest, HwptsAreThoseOfTheProfileForEachCombinationOfFlags) {
  for (std::uint32_t flags = 0; flags < 32; flags++) {
    if ((flags & IOMMU_HWPT_FAULT_ID_VALID) != 0) continue;
    auto const kind = profile_.choose_paging(flags);
    std::uint32_t id = 0;
    ASSERT_EQ(alloc(flags, &id), kind ? 0 : EOPNOTSUPP) << flags << words_;
    if (!kind) continue;
    auto const domain = object<HwptPaging>(id)->domain();
    auto const shape = kind->shape().value();
    EXPECT_EQ(domain->limits().aperture, kind->inputs()) << flags;
    EXPECT_EQ(domain->limits().writable_only, kind->writable_only) << flags;
    EXPECT_EQ(domain->shape().levels, shape.levels) << flags;
    EXPECT_EQ(domain->shape().page_sizes, shape.page_sizes) << flags;
    EXPECT_EQ(domain->shape().output_bits, shape.output_bits) << flags;
    EXPECT_EQ(domain->shape().tracks_dirty, shape.tracks_dirty) << flags;
    EXPECT_EQ(object<HwptPaging>(id)->enforces_coherency(), kind->enforces_coherency) << flags;
  }
}

TEST_P(EveryProfileTest, PagingHwptsTakeNoData) {
  if (is_selftest()) return;
  EXPECT_EQ(alloc_nested(space_, IOMMU_HWPT_DATA_VTD_S1, sizeof(iommu_hwpt_vtd_s1)), EOPNOTSUPP);
}

TEST_P(EveryProfileTest, IovasAreThoseOfTheProfile) {
  ASSERT_EQ(attach(*device_, space_), 0) << words_;
  std::uint64_t at = profile_.of(PagingUse::usual)->inputs().start;
  std::uint64_t const last = profile_.of(PagingUse::usual)->inputs().last;
  auto reserved = profile_.reserved;
  std::ranges::sort(reserved, {}, [](ReservedIovas const& each) { return each.iovas.start; });
  std::vector<Range> expected;
  for (ReservedIovas const& each : reserved) {
    if (each.iovas.start > last || each.iovas.last < at) continue;
    if (each.iovas.start > at) expected.push_back({at, each.iovas.start - 1});
    at = each.iovas.last + 1;
  }
  if (at != 0 || expected.empty())
    if (at <= last) expected.push_back({at, last});
  std::vector<Range> found;
  for (auto const& range : iova_ranges()) found.push_back({range.start, range.last});
  EXPECT_EQ(found, expected);
}

TEST_P(EveryProfileTest, DirtyTrackingIsThereIfTheProfileHasIt) {
  std::uint32_t plain = 0, tracking = 0;
  ASSERT_EQ(alloc(0, &plain), 0) << words_;
  EXPECT_EQ(track(plain), EOPNOTSUPP);
  if (!profile_.dirty_tracking) {
    EXPECT_EQ(alloc(dirty), EOPNOTSUPP);
    return;
  }
  ASSERT_EQ(alloc(dirty, &tracking), 0) << words_;
  ASSERT_EQ(attach(*device_, tracking), 0) << words_;
  std::uint64_t const first = iova_ranges().at(0).start + 0x100000;
  ASSERT_EQ(map(space_, memory(8 * page, MAP_SHARED | MAP_ANONYMOUS), 8 * page, first), 0) << words_;
  ASSERT_EQ(track(tracking), 0) << words_;
  auto const port = physical_->device()->open_port().value();
  std::byte const byte{1};
  ASSERT_TRUE(port->write(Iova(first + 3 * page), &byte, 1).ok());
  std::uint64_t const bits = harvest(tracking, first, 8 * page);
  EXPECT_NE(bits & 1u << 3, 0u);
  EXPECT_EQ(harvest(tracking, first, 8 * page), 0u);
}

TEST_P(EveryProfileTest, PasidsAreThoseOfTheProfile) {
  std::uint32_t hwpt = 0;
  if (alloc(pasid, &hwpt) != 0) return;
  auto const result = [&](std::uint32_t number) {
    int const code = attach(*device_, hwpt, nullptr, number);
    device_->detach(number);
    return code;
  };
  if (profile_.max_pasids == 0) {
    EXPECT_EQ(result(1), EOPNOTSUPP);
    return;
  }
  EXPECT_EQ(result(profile_.max_pasids - 1), 0) << words_;
  EXPECT_EQ(result(profile_.max_pasids), EINVAL);
}

// Of the data of a nested HWPT.
std::uint32_t length_of(std::uint32_t type) {
  switch (type) {
    case IOMMU_HWPT_DATA_VTD_S1: return sizeof(iommu_hwpt_vtd_s1);
    case IOMMU_HWPT_DATA_ARM_SMMUV3: return sizeof(iommu_hwpt_arm_smmuv3);
    case IOMMU_HWPT_DATA_AMD_GUEST: return sizeof(iommu_hwpt_amd_guest);
    case SWIOMMU_HWPT_DATA_RISCV: return sizeof(swiommu_hwpt_riscv);
    case SWIOMMU_HWPT_DATA_ZPCI: return sizeof(swiommu_hwpt_zpci);
    case SWIOMMU_HWPT_DATA_RAW: return sizeof(swiommu_hwpt_raw);
    default: return 8;
  }
}

TEST_P(EveryProfileTest, NestedHwptsAreThoseOfTheProfile) {
  std::uint32_t on = 0;
  if (alloc(parent, &on) != 0) {
    ASSERT_EQ(alloc(0, &on), 0) << words_;
  }
  for (std::uint32_t const type :
       {std::uint32_t{IOMMU_HWPT_DATA_VTD_S1}, std::uint32_t{IOMMU_HWPT_DATA_ARM_SMMUV3},
        std::uint32_t{IOMMU_HWPT_DATA_AMD_GUEST}, std::uint32_t{SWIOMMU_HWPT_DATA_RISCV}, std::uint32_t{SWIOMMU_HWPT_DATA_ZPCI},
        std::uint32_t{SWIOMMU_HWPT_DATA_RAW}, selftest_nested}) {
    bool const on_parent =
        type != IOMMU_HWPT_DATA_ARM_SMMUV3 && type != IOMMU_HWPT_DATA_AMD_GUEST && type != SWIOMMU_HWPT_DATA_RISCV;
    int const code = alloc_nested(on, type, length_of(type));
    if (on_parent && profile_.makes_nested(type))
      EXPECT_EQ(code, 0) << type << words_;
    else if (profile_.hardware == Hardware::intel_vtd && !profile_.of(PagingUse::nesting_parent))
      EXPECT_EQ(code, EINVAL) << type;  // no parent, says Linux before it looks at the hardware
    else
      EXPECT_EQ(code, EOPNOTSUPP) << type;
  }
}

TEST_P(EveryProfileTest, ViommusAreThoseOfTheProfile) {
  std::uint32_t on = 0;
  if (alloc(parent, &on) != 0) {
    ASSERT_EQ(alloc(0, &on), 0) << words_;
  }
  for (std::uint32_t const type :
       {std::uint32_t{IOMMU_VIOMMU_TYPE_ARM_SMMUV3}, std::uint32_t{IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV},
        std::uint32_t{SWIOMMU_VIOMMU_TYPE_AMD}, std::uint32_t{SWIOMMU_VIOMMU_TYPE_RISCV}, selftest_viommu}) {
    std::uint32_t viommu = 0;
    ASSERT_EQ(alloc_viommu(on, type, &viommu), profile_.makes_viommus(type) ? 0 : EOPNOTSUPP) << type << words_;
    if (!profile_.makes_viommus(type)) continue;
    std::uint32_t const data = type == IOMMU_VIOMMU_TYPE_ARM_SMMUV3 ? std::uint32_t{IOMMU_HWPT_DATA_ARM_SMMUV3}
                               : type == SWIOMMU_VIOMMU_TYPE_AMD    ? std::uint32_t{IOMMU_HWPT_DATA_AMD_GUEST}
                               : type == SWIOMMU_VIOMMU_TYPE_RISCV  ? std::uint32_t{SWIOMMU_HWPT_DATA_RISCV}
                                                                    : selftest_nested;
    EXPECT_EQ(alloc_nested(viommu, data, length_of(data)), profile_.makes_nested(data) ? 0 : EOPNOTSUPP) << words_;
  }
}

TEST_F(DriverOfProfile, WhatAUserWritesIsWhatDevicesSay) {
  use(parse_profile(restricted_vtd, "restricted.json").value());
  std::vector<std::byte> data;
  auto const info = hardware_info(data);
  EXPECT_EQ(info.out_max_pasid_log2, 8);
  EXPECT_EQ(info.out_capabilities, std::uint64_t{IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED | IOMMU_HW_CAP_PCI_PASID_EXEC});
  EXPECT_EQ(alloc(dirty), EOPNOTSUPP);
  std::uint32_t on = 0;
  ASSERT_EQ(alloc(parent, &on), 0);
  EXPECT_EQ(alloc_nested(on, IOMMU_HWPT_DATA_VTD_S1, sizeof(iommu_hwpt_vtd_s1)), EOPNOTSUPP);
  ASSERT_EQ(attach(*device_, space_), 0);
  auto const ranges = iova_ranges();
  ASSERT_EQ(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].start, 0x100000u);
  EXPECT_EQ(ranges[0].last, 0x1fffffu);
  EXPECT_EQ(ranges[1].start, 0x300000u);
  EXPECT_EQ(ranges[1].last, 0xffffffffffu);
}

TEST_F(DriverOfProfile, WhatTheDeviceLacksTheProfileDoesNotAdd) {
  auto const lesser = bind(new_physical({.pasid_bits = 3, .capabilities = {}, .driver = driver_of("intel-vtd")}));
  iommu_hw_info info{};
  info.size = sizeof info;
  info.dev_id = lesser->id();
  ASSERT_EQ(call(IOMMU_GET_HW_INFO, info), 0);
  EXPECT_EQ(info.out_max_pasid_log2, 3);
  EXPECT_EQ(info.out_capabilities, std::uint64_t{IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED});
}

TEST(MakeDriver, RefusesWhatContradictsItself) {
  Profile profile = load_profile("riscv").value();
  profile.of(PagingUse::usual).reset();
  auto const made = make_driver(profile);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, EINVAL);
  EXPECT_EQ(made.error().about, "profile riscv: there must be a usual kind of paging domain");
}

TEST(MakeDriver, EachAllocationMayFail) {
  for (char const* const name : builtin) {
    Profile const profile = load_profile(name).value();
    for (std::uint64_t n = 0;; n++) {
      FailingNew failing(n);
      auto const made = make_driver(profile);
      failing.allow();
      if (made) break;
      ASSERT_EQ(made.error().code, ENOMEM) << name << " " << n;
    }
  }
}

}  // namespace
}  // namespace swiommu::iommufd

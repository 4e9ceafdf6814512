#include "iommufd/call_fields.h"

#include <algorithm>
#include <iterator>

#include "swiommu/uapi/iommufd.h"
#include "swiommu/uapi/iommufd_private.h"

namespace swiommu::iommufd {

namespace {

constexpr auto decimal = FieldForm::decimal, descriptor = FieldForm::signed_decimal, hex = FieldForm::hexadecimal,
               flags = FieldForm::flags, name = FieldForm::name;
constexpr auto in = FieldUse::in, rare = FieldUse::rare, out = FieldUse::out, both = FieldUse::both;

constexpr ValueText map_flags[] = {
    {IOMMU_IOAS_MAP_FIXED_IOVA, "FIXED_IOVA"}, {IOMMU_IOAS_MAP_WRITEABLE, "WRITEABLE"}, {IOMMU_IOAS_MAP_READABLE, "READABLE"}};
constexpr ValueText options[] = {{IOMMU_OPTION_RLIMIT_MODE, "RLIMIT_MODE"}, {IOMMU_OPTION_HUGE_PAGES, "HUGE_PAGES"}};
constexpr ValueText option_ops[] = {{IOMMU_OPTION_OP_SET, "SET"}, {IOMMU_OPTION_OP_GET, "GET"}};
constexpr ValueText vfio_ioas_ops[] = {
    {IOMMU_VFIO_IOAS_GET, "GET"}, {IOMMU_VFIO_IOAS_SET, "SET"}, {IOMMU_VFIO_IOAS_CLEAR, "CLEAR"}};
constexpr ValueText hwpt_flags[] = {{IOMMU_HWPT_ALLOC_NEST_PARENT, "NEST_PARENT"},
                                    {IOMMU_HWPT_ALLOC_DIRTY_TRACKING, "DIRTY_TRACKING"},
                                    {IOMMU_HWPT_FAULT_ID_VALID, "FAULT_ID_VALID"},
                                    {IOMMU_HWPT_ALLOC_PASID, "PASID"}};
constexpr ValueText hwpt_data[] = {{IOMMU_HWPT_DATA_NONE, "NONE"},
                                   {IOMMU_HWPT_DATA_VTD_S1, "VTD_S1"},
                                   {IOMMU_HWPT_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
                                   {IOMMU_HWPT_DATA_AMD_GUEST, "AMD_GUEST"},
                                   {SWIOMMU_HWPT_DATA_RISCV, "SWIOMMU_RISCV"},
                                   {SWIOMMU_HWPT_DATA_ZPCI, "SWIOMMU_ZPCI"},
                                   {SWIOMMU_HWPT_DATA_RAW, "SWIOMMU_RAW"},
                                   {0xdead, "SELFTEST"}};
constexpr ValueText info_flags[] = {{IOMMU_HW_INFO_FLAG_INPUT_TYPE, "INPUT_TYPE"}};
constexpr ValueText info_types[] = {{IOMMU_HW_INFO_TYPE_NONE, "NONE"},
                                    {IOMMU_HW_INFO_TYPE_INTEL_VTD, "INTEL_VTD"},
                                    {IOMMU_HW_INFO_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
                                    {IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
                                    {IOMMU_HW_INFO_TYPE_AMD, "AMD"},
                                    {0xfeedbeef, "SELFTEST"}};
constexpr ValueText capabilities[] = {{IOMMU_HW_CAP_DIRTY_TRACKING, "DIRTY_TRACKING"},
                                      {IOMMU_HW_CAP_PCI_PASID_EXEC, "PCI_PASID_EXEC"},
                                      {IOMMU_HW_CAP_PCI_PASID_PRIV, "PCI_PASID_PRIV"},
                                      {IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, "PCI_ATS_NOT_SUPPORTED"}};
constexpr ValueText tracking_flags[] = {{IOMMU_HWPT_DIRTY_TRACKING_ENABLE, "ENABLE"}};
constexpr ValueText bitmap_flags[] = {{IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR"}};
constexpr ValueText invalidate_data[] = {{IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, "VTD_S1"},
                                         {IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, "ARM_SMMUV3"},
                                         {SWIOMMU_VIOMMU_INVALIDATE_DATA_AMD, "SWIOMMU_AMD"},
                                         {SWIOMMU_VIOMMU_INVALIDATE_DATA_RISCV, "SWIOMMU_RISCV"},
                                         {SWIOMMU_HWPT_INVALIDATE_DATA_ZPCI, "SWIOMMU_ZPCI"},
                                         {SWIOMMU_HWPT_INVALIDATE_DATA_RAW, "SWIOMMU_RAW"},
                                         {0xdeadbeef, "SELFTEST"}};
constexpr ValueText viommu_types[] = {{IOMMU_VIOMMU_TYPE_DEFAULT, "DEFAULT"},
                                      {IOMMU_VIOMMU_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
                                      {IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
                                      {SWIOMMU_VIOMMU_TYPE_AMD, "SWIOMMU_AMD"},
                                      {SWIOMMU_VIOMMU_TYPE_RISCV, "SWIOMMU_RISCV"},
                                      {0xdeadbeef, "SELFTEST"}};
constexpr ValueText veventq_types[] = {{IOMMU_VEVENTQ_TYPE_DEFAULT, "DEFAULT"},
                                       {IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, "ARM_SMMUV3"},
                                       {IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"},
                                       {0xbeefbeef, "SELFTEST"}};
constexpr ValueText hw_queue_types[] = {
    {IOMMU_HW_QUEUE_TYPE_DEFAULT, "DEFAULT"}, {IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, "TEGRA241_CMDQV"}, {0xdeadbeef, "SELFTEST"}};

#define FIELD(field, ...) {#field, offsetof(Structure, field), sizeof(Structure::field), __VA_ARGS__}
// The fields of a structure, in a scope where it has the name Structure.
#define FIELDS(variable, structure, ...)        \
  namespace fields_of_##variable {              \
    using Structure = struct structure;         \
    constexpr CallField list[] = {__VA_ARGS__}; \
  }                                             \
  constexpr std::span<CallField const> variable(fields_of_##variable::list);

FIELDS(destroy, iommu_destroy, FIELD(id, decimal, in))
FIELDS(ioas_alloc, iommu_ioas_alloc, FIELD(flags, hex, in), FIELD(out_ioas_id, decimal, out))
FIELDS(allow_iovas, iommu_ioas_allow_iovas, FIELD(ioas_id, decimal, in), FIELD(num_iovas, decimal, in),
       FIELD(__reserved, hex, rare), FIELD(allowed_iovas, hex, in))
FIELDS(copy, iommu_ioas_copy, FIELD(flags, flags, in, map_flags), FIELD(dst_ioas_id, decimal, in),
       FIELD(src_ioas_id, decimal, in), FIELD(length, hex, in), FIELD(dst_iova, hex, both), FIELD(src_iova, hex, in))
FIELDS(iova_ranges, iommu_ioas_iova_ranges, FIELD(ioas_id, decimal, in), FIELD(num_iovas, decimal, both),
       FIELD(__reserved, hex, rare), FIELD(allowed_iovas, hex, in), FIELD(out_iova_alignment, hex, out))
FIELDS(map, iommu_ioas_map, FIELD(flags, flags, in, map_flags), FIELD(ioas_id, decimal, in), FIELD(__reserved, hex, rare),
       FIELD(user_va, hex, in), FIELD(length, hex, in), FIELD(iova, hex, both))
FIELDS(unmap, iommu_ioas_unmap, FIELD(ioas_id, decimal, in), FIELD(iova, hex, in), FIELD(length, hex, both))
FIELDS(option, iommu_option, FIELD(option_id, name, in, options), FIELD(op, name, in, option_ops), FIELD(__reserved, hex, rare),
       FIELD(object_id, decimal, in), FIELD(val64, decimal, both))
FIELDS(vfio_ioas, iommu_vfio_ioas, FIELD(ioas_id, decimal, both), FIELD(op, name, in, vfio_ioas_ops),
       FIELD(__reserved, hex, rare))
FIELDS(hwpt_alloc, iommu_hwpt_alloc, FIELD(flags, flags, in, hwpt_flags), FIELD(dev_id, decimal, in), FIELD(pt_id, decimal, in),
       FIELD(out_hwpt_id, decimal, out), FIELD(__reserved, hex, rare), FIELD(data_type, name, in, hwpt_data),
       FIELD(data_len, decimal, rare), FIELD(data_uptr, hex, rare), FIELD(fault_id, decimal, rare), FIELD(__reserved2, hex, rare))
FIELDS(hw_info, iommu_hw_info, FIELD(flags, flags, in, info_flags), FIELD(dev_id, decimal, in), FIELD(data_len, decimal, both),
       FIELD(data_uptr, hex, in), FIELD(in_data_type, name, rare, info_types), FIELD(out_data_type, name, out, info_types),
       FIELD(out_max_pasid_log2, decimal, out), FIELD(__reserved, hex, rare), FIELD(out_capabilities, flags, out, capabilities))
FIELDS(set_tracking, iommu_hwpt_set_dirty_tracking, FIELD(flags, flags, in, tracking_flags), FIELD(hwpt_id, decimal, in),
       FIELD(__reserved, hex, rare))
FIELDS(get_bitmap, iommu_hwpt_get_dirty_bitmap, FIELD(hwpt_id, decimal, in), FIELD(flags, flags, in, bitmap_flags),
       FIELD(__reserved, hex, rare), FIELD(iova, hex, in), FIELD(length, hex, in), FIELD(page_size, hex, in),
       FIELD(data, hex, in))
FIELDS(invalidate, iommu_hwpt_invalidate, FIELD(hwpt_id, decimal, in), FIELD(data_uptr, hex, in),
       FIELD(data_type, name, in, invalidate_data), FIELD(entry_len, decimal, in), FIELD(entry_num, decimal, both),
       FIELD(__reserved, hex, rare))
FIELDS(fault_alloc, iommu_fault_alloc, FIELD(flags, hex, in), FIELD(out_fault_id, decimal, out),
       FIELD(out_fault_fd, descriptor, out))
FIELDS(map_file, iommu_ioas_map_file, FIELD(flags, flags, in, map_flags), FIELD(ioas_id, decimal, in), FIELD(fd, descriptor, in),
       FIELD(start, hex, in), FIELD(length, hex, in), FIELD(iova, hex, both))
FIELDS(viommu_alloc, iommu_viommu_alloc, FIELD(flags, hex, in), FIELD(type, name, in, viommu_types), FIELD(dev_id, decimal, in),
       FIELD(hwpt_id, decimal, in), FIELD(out_viommu_id, decimal, out), FIELD(data_len, decimal, rare),
       FIELD(__reserved, hex, rare), FIELD(data_uptr, hex, rare))
FIELDS(vdevice_alloc, iommu_vdevice_alloc, FIELD(viommu_id, decimal, in), FIELD(dev_id, decimal, in),
       FIELD(out_vdevice_id, decimal, out), FIELD(virt_id, hex, in))
FIELDS(change_process, iommu_ioas_change_process, FIELD(__reserved, hex, rare))
FIELDS(veventq_alloc, iommu_veventq_alloc, FIELD(flags, hex, in), FIELD(viommu_id, decimal, in),
       FIELD(type, name, in, veventq_types), FIELD(veventq_depth, decimal, in), FIELD(out_veventq_id, decimal, out),
       FIELD(out_veventq_fd, descriptor, out), FIELD(__reserved, hex, rare))
FIELDS(hw_queue_alloc, iommu_hw_queue_alloc, FIELD(flags, hex, in), FIELD(viommu_id, decimal, in),
       FIELD(type, name, in, hw_queue_types), FIELD(index, decimal, in), FIELD(out_hw_queue_id, decimal, out),
       FIELD(nesting_parent_iova, hex, in), FIELD(length, hex, in))

#undef FIELDS
#undef FIELD

#define CALL(request, structure, fields) {request, #request, sizeof(structure), fields}
constexpr CallShape native[] = {
    CALL(IOMMU_DESTROY, iommu_destroy, destroy),
    CALL(IOMMU_IOAS_ALLOC, iommu_ioas_alloc, ioas_alloc),
    CALL(IOMMU_IOAS_ALLOW_IOVAS, iommu_ioas_allow_iovas, allow_iovas),
    CALL(IOMMU_IOAS_COPY, iommu_ioas_copy, copy),
    CALL(IOMMU_IOAS_IOVA_RANGES, iommu_ioas_iova_ranges, iova_ranges),
    CALL(IOMMU_IOAS_MAP, iommu_ioas_map, map),
    CALL(IOMMU_IOAS_UNMAP, iommu_ioas_unmap, unmap),
    CALL(IOMMU_OPTION, iommu_option, option),
    CALL(IOMMU_VFIO_IOAS, iommu_vfio_ioas, vfio_ioas),
    CALL(IOMMU_HWPT_ALLOC, iommu_hwpt_alloc, hwpt_alloc),
    CALL(IOMMU_GET_HW_INFO, iommu_hw_info, hw_info),
    CALL(IOMMU_HWPT_SET_DIRTY_TRACKING, iommu_hwpt_set_dirty_tracking, set_tracking),
    CALL(IOMMU_HWPT_GET_DIRTY_BITMAP, iommu_hwpt_get_dirty_bitmap, get_bitmap),
    CALL(IOMMU_HWPT_INVALIDATE, iommu_hwpt_invalidate, invalidate),
    CALL(IOMMU_FAULT_QUEUE_ALLOC, iommu_fault_alloc, fault_alloc),
    CALL(IOMMU_IOAS_MAP_FILE, iommu_ioas_map_file, map_file),
    CALL(IOMMU_VIOMMU_ALLOC, iommu_viommu_alloc, viommu_alloc),
    CALL(IOMMU_VDEVICE_ALLOC, iommu_vdevice_alloc, vdevice_alloc),
    CALL(IOMMU_IOAS_CHANGE_PROCESS, iommu_ioas_change_process, change_process),
    CALL(IOMMU_VEVENTQ_ALLOC, iommu_veventq_alloc, veventq_alloc),
    CALL(IOMMU_HW_QUEUE_ALLOC, iommu_hw_queue_alloc, hw_queue_alloc),
};
#undef CALL

}  // namespace

CallShape const* find_call(std::uint32_t request) {
  if (request == selftest_request) return &selftest_call();
  for (auto const table : {std::span<CallShape const>(native), vfio_type1_calls()})
    if (auto const found = std::ranges::find(table, request, &CallShape::request); found != table.end()) return &*found;
  return nullptr;
}

}  // namespace swiommu::iommufd

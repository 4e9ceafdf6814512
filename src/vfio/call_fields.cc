#include "vfio/call_fields.h"

#include "swiommu/uapi/vfio.h"

namespace swiommu::vfio {
namespace {

using namespace iommufd;

constexpr auto decimal = FieldForm::decimal, descriptor = FieldForm::signed_decimal, hex = FieldForm::hexadecimal,
               flags = FieldForm::flags, name = FieldForm::name;
constexpr auto in = FieldUse::in, rare = FieldUse::rare, out = FieldUse::out, both = FieldUse::both;

constexpr ValueText status_flags[] = {{VFIO_GROUP_FLAGS_VIABLE, "VIABLE"}, {VFIO_GROUP_FLAGS_CONTAINER_SET, "CONTAINER_SET"}};
constexpr ValueText device_flags[] = {
    {VFIO_DEVICE_FLAGS_RESET, "RESET"}, {VFIO_DEVICE_FLAGS_PCI, "PCI"}, {VFIO_DEVICE_FLAGS_CAPS, "CAPS"}};
constexpr ValueText region_flags[] = {{VFIO_REGION_INFO_FLAG_READ, "READ"},
                                      {VFIO_REGION_INFO_FLAG_WRITE, "WRITE"},
                                      {VFIO_REGION_INFO_FLAG_MMAP, "MMAP"},
                                      {VFIO_REGION_INFO_FLAG_CAPS, "CAPS"}};
constexpr ValueText regions[] = {
    {VFIO_PCI_BAR0_REGION_INDEX, "BAR0"}, {VFIO_PCI_BAR1_REGION_INDEX, "BAR1"},     {VFIO_PCI_BAR2_REGION_INDEX, "BAR2"},
    {VFIO_PCI_BAR3_REGION_INDEX, "BAR3"}, {VFIO_PCI_BAR4_REGION_INDEX, "BAR4"},     {VFIO_PCI_BAR5_REGION_INDEX, "BAR5"},
    {VFIO_PCI_ROM_REGION_INDEX, "ROM"},   {VFIO_PCI_CONFIG_REGION_INDEX, "CONFIG"}, {VFIO_PCI_VGA_REGION_INDEX, "VGA"}};
constexpr ValueText interrupts[] = {{VFIO_PCI_INTX_IRQ_INDEX, "INTX"},
                                    {VFIO_PCI_MSI_IRQ_INDEX, "MSI"},
                                    {VFIO_PCI_MSIX_IRQ_INDEX, "MSIX"},
                                    {VFIO_PCI_ERR_IRQ_INDEX, "ERR"},
                                    {VFIO_PCI_REQ_IRQ_INDEX, "REQ"}};
constexpr ValueText interrupt_flags[] = {{VFIO_IRQ_INFO_EVENTFD, "EVENTFD"},
                                         {VFIO_IRQ_INFO_MASKABLE, "MASKABLE"},
                                         {VFIO_IRQ_INFO_AUTOMASKED, "AUTOMASKED"},
                                         {VFIO_IRQ_INFO_NORESIZE, "NORESIZE"}};
constexpr ValueText set_flags[] = {
    {VFIO_IRQ_SET_DATA_NONE, "DATA_NONE"},         {VFIO_IRQ_SET_DATA_BOOL, "DATA_BOOL"},
    {VFIO_IRQ_SET_DATA_EVENTFD, "DATA_EVENTFD"},   {VFIO_IRQ_SET_ACTION_MASK, "ACTION_MASK"},
    {VFIO_IRQ_SET_ACTION_UNMASK, "ACTION_UNMASK"}, {VFIO_IRQ_SET_ACTION_TRIGGER, "ACTION_TRIGGER"}};
constexpr ValueText reset_flags[] = {{VFIO_PCI_HOT_RESET_FLAG_DEV_ID, "DEV_ID"},
                                     {VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED, "DEV_ID_OWNED"}};
constexpr ValueText feature_flags[] = {
    {VFIO_DEVICE_FEATURE_GET, "GET"}, {VFIO_DEVICE_FEATURE_SET, "SET"}, {VFIO_DEVICE_FEATURE_PROBE, "PROBE"}};
constexpr ValueText bind_flags[] = {{VFIO_DEVICE_BIND_FLAG_TOKEN, "TOKEN"}};
constexpr ValueText pasid_flags[] = {{VFIO_DEVICE_ATTACH_PASID, "PASID"}};

#define FIELD(structure, field, ...) {#field, offsetof(structure, field), sizeof(structure::field), __VA_ARGS__}
constexpr CallField status[] = {FIELD(vfio_group_status, flags, flags, out, status_flags)};
constexpr CallField info[] = {FIELD(vfio_device_info, flags, flags, out, device_flags),
                              FIELD(vfio_device_info, num_regions, decimal, out),
                              FIELD(vfio_device_info, num_irqs, decimal, out)};
constexpr CallField region_info[] = {FIELD(vfio_region_info, index, name, in, regions),
                                     FIELD(vfio_region_info, flags, flags, out, region_flags),
                                     FIELD(vfio_region_info, cap_offset, hex, out), FIELD(vfio_region_info, size, hex, out),
                                     FIELD(vfio_region_info, offset, hex, out)};
constexpr CallField irq_info[] = {FIELD(vfio_irq_info, index, name, in, interrupts),
                                  FIELD(vfio_irq_info, flags, flags, out, interrupt_flags),
                                  FIELD(vfio_irq_info, count, decimal, out)};
constexpr CallField irq_set[] = {FIELD(vfio_irq_set, flags, flags, in, set_flags),
                                 FIELD(vfio_irq_set, index, name, in, interrupts), FIELD(vfio_irq_set, start, decimal, in),
                                 FIELD(vfio_irq_set, count, decimal, in)};
constexpr CallField hot_reset_info[] = {FIELD(vfio_pci_hot_reset_info, flags, flags, out, reset_flags),
                                        FIELD(vfio_pci_hot_reset_info, count, decimal, out)};
constexpr CallField hot_reset[] = {FIELD(vfio_pci_hot_reset, flags, hex, rare), FIELD(vfio_pci_hot_reset, count, decimal, in)};
constexpr CallField ioeventfd[] = {FIELD(vfio_device_ioeventfd, flags, hex, in), FIELD(vfio_device_ioeventfd, offset, hex, in),
                                   FIELD(vfio_device_ioeventfd, data, hex, in), FIELD(vfio_device_ioeventfd, fd, descriptor, in)};
constexpr CallField feature[] = {FIELD(vfio_device_feature, flags, flags, in, feature_flags)};
constexpr CallField bind[] = {FIELD(vfio_device_bind_iommufd, flags, flags, rare, bind_flags),
                              FIELD(vfio_device_bind_iommufd, iommufd, descriptor, in),
                              FIELD(vfio_device_bind_iommufd, out_devid, decimal, out)};
constexpr CallField attach[] = {FIELD(vfio_device_attach_iommufd_pt, flags, flags, rare, pasid_flags),
                                FIELD(vfio_device_attach_iommufd_pt, pt_id, decimal, both),
                                FIELD(vfio_device_attach_iommufd_pt, pasid, decimal, rare)};
constexpr CallField detach[] = {FIELD(vfio_device_detach_iommufd_pt, flags, flags, rare, pasid_flags),
                                FIELD(vfio_device_detach_iommufd_pt, pasid, decimal, rare)};
#undef FIELD

#define CALL(request, structure, fields) {request, #request, sizeof(structure), fields}
constexpr CallShape devices[] = {
    CALL(VFIO_DEVICE_GET_INFO, vfio_device_info, info),
    CALL(VFIO_DEVICE_GET_REGION_INFO, vfio_region_info, region_info),
    CALL(VFIO_DEVICE_GET_IRQ_INFO, vfio_irq_info, irq_info),
    CALL(VFIO_DEVICE_SET_IRQS, vfio_irq_set, irq_set),
    {VFIO_DEVICE_RESET, "VFIO_DEVICE_RESET", 0, {}},
    CALL(VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, vfio_pci_hot_reset_info, hot_reset_info),
    CALL(VFIO_DEVICE_PCI_HOT_RESET, vfio_pci_hot_reset, hot_reset),
    CALL(VFIO_DEVICE_IOEVENTFD, vfio_device_ioeventfd, ioeventfd),
    CALL(VFIO_DEVICE_FEATURE, vfio_device_feature, feature),
    CALL(VFIO_DEVICE_BIND_IOMMUFD, vfio_device_bind_iommufd, bind),
    CALL(VFIO_DEVICE_ATTACH_IOMMUFD_PT, vfio_device_attach_iommufd_pt, attach),
    CALL(VFIO_DEVICE_DETACH_IOMMUFD_PT, vfio_device_detach_iommufd_pt, detach),
};
constexpr CallShape groups[] = {
    CALL(VFIO_GROUP_GET_STATUS, vfio_group_status, status),
    {VFIO_GROUP_SET_CONTAINER, "VFIO_GROUP_SET_CONTAINER", 0, {}},
    {VFIO_GROUP_UNSET_CONTAINER, "VFIO_GROUP_UNSET_CONTAINER", 0, {}},
    {VFIO_GROUP_GET_DEVICE_FD, "VFIO_GROUP_GET_DEVICE_FD", 0, {}},
};
#undef CALL

}  // namespace

std::span<CallShape const> device_calls() { return devices; }
std::span<CallShape const> group_calls() { return groups; }

}  // namespace swiommu::vfio

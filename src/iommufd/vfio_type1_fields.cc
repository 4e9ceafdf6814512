#include "iommufd/call_fields.h"
#include "swiommu/uapi/vfio_type1.h"

namespace swiommu::iommufd {

namespace {

constexpr auto hex = FieldForm::hexadecimal, flags = FieldForm::flags;
constexpr auto in = FieldUse::in, out = FieldUse::out, both = FieldUse::both;

constexpr ValueText info_flags[] = {{VFIO_IOMMU_INFO_PGSIZES, "PGSIZES"}, {VFIO_IOMMU_INFO_CAPS, "CAPS"}};
constexpr ValueText map_flags[] = {
    {VFIO_DMA_MAP_FLAG_READ, "READ"}, {VFIO_DMA_MAP_FLAG_WRITE, "WRITE"}, {VFIO_DMA_MAP_FLAG_VADDR, "VADDR"}};
constexpr ValueText unmap_flags[] = {{VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, "GET_DIRTY_BITMAP"},
                                     {VFIO_DMA_UNMAP_FLAG_ALL, "ALL"},
                                     {VFIO_DMA_UNMAP_FLAG_VADDR, "VADDR"}};
constexpr ValueText dirty_flags[] = {{VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START"},
                                     {VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP"},
                                     {VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, "GET_BITMAP"}};
constexpr ValueText extensions[] = {{VFIO_TYPE1_IOMMU, "VFIO_TYPE1_IOMMU"},
                                    {VFIO_SPAPR_TCE_IOMMU, "VFIO_SPAPR_TCE_IOMMU"},
                                    {VFIO_TYPE1v2_IOMMU, "VFIO_TYPE1v2_IOMMU"},
                                    {VFIO_DMA_CC_IOMMU, "VFIO_DMA_CC_IOMMU"},
                                    {VFIO_EEH, "VFIO_EEH"},
                                    {VFIO_TYPE1_NESTING_IOMMU, "VFIO_TYPE1_NESTING_IOMMU"},
                                    {VFIO_SPAPR_TCE_v2_IOMMU, "VFIO_SPAPR_TCE_v2_IOMMU"},
                                    {VFIO_NOIOMMU_IOMMU, "VFIO_NOIOMMU_IOMMU"},
                                    {VFIO_UNMAP_ALL, "VFIO_UNMAP_ALL"},
                                    {VFIO_UPDATE_VADDR, "VFIO_UPDATE_VADDR"}};

#define FIELD(structure, field, ...) {#field, offsetof(structure, field), sizeof(structure::field), __VA_ARGS__}
constexpr CallField get_info[] = {FIELD(vfio_iommu_type1_info, flags, flags, out, info_flags),
                                  FIELD(vfio_iommu_type1_info, iova_pgsizes, hex, out),
                                  FIELD(vfio_iommu_type1_info, cap_offset, hex, out)};
constexpr CallField map_dma[] = {FIELD(vfio_iommu_type1_dma_map, flags, flags, in, map_flags),
                                 FIELD(vfio_iommu_type1_dma_map, vaddr, hex, in), FIELD(vfio_iommu_type1_dma_map, iova, hex, in),
                                 FIELD(vfio_iommu_type1_dma_map, size, hex, in)};
constexpr CallField unmap_dma[] = {FIELD(vfio_iommu_type1_dma_unmap, flags, flags, in, unmap_flags),
                                   FIELD(vfio_iommu_type1_dma_unmap, iova, hex, in),
                                   FIELD(vfio_iommu_type1_dma_unmap, size, hex, both)};
constexpr CallField dirty_pages[] = {FIELD(vfio_iommu_type1_dirty_bitmap, flags, flags, in, dirty_flags)};
#undef FIELD

constexpr CallShape calls[] = {
    {VFIO_GET_API_VERSION, "VFIO_GET_API_VERSION", 0, {}},
    {VFIO_CHECK_EXTENSION, "VFIO_CHECK_EXTENSION", 0, {}},
    {VFIO_SET_IOMMU, "VFIO_SET_IOMMU", 0, {}},
    {VFIO_IOMMU_GET_INFO, "VFIO_IOMMU_GET_INFO", sizeof(vfio_iommu_type1_info), get_info},
    {VFIO_IOMMU_MAP_DMA, "VFIO_IOMMU_MAP_DMA", sizeof(vfio_iommu_type1_dma_map), map_dma},
    {VFIO_IOMMU_UNMAP_DMA, "VFIO_IOMMU_UNMAP_DMA", sizeof(vfio_iommu_type1_dma_unmap), unmap_dma},
    {VFIO_IOMMU_ENABLE, "VFIO_IOMMU_ENABLE", 0, {}},
    {VFIO_IOMMU_DISABLE, "VFIO_IOMMU_DISABLE", 0, {}},
    {VFIO_IOMMU_DIRTY_PAGES, "VFIO_IOMMU_DIRTY_PAGES", sizeof(vfio_iommu_type1_dirty_bitmap), dirty_pages},
};

}  // namespace

std::span<CallShape const> vfio_type1_calls() { return calls; }
std::span<ValueText const> vfio_extension_names() { return extensions; }

}  // namespace swiommu::iommufd

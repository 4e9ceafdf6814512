// Numbers of Linux' drivers/iommu/iommufd/iommufd_test.h.
#include <algorithm>

#include "iommufd/call_fields.h"

namespace swiommu::iommufd {

namespace {

constexpr auto decimal = FieldForm::decimal, descriptor = FieldForm::signed_decimal, hex = FieldForm::hexadecimal,
               flags = FieldForm::flags;
constexpr auto in = FieldUse::in, out = FieldUse::out;

constexpr ValueText device_flags[] = {{1, "NO_DIRTY"}, {2, "HUGE_IOVA"}, {4, "PASID"}};
constexpr ValueText create_flags[] = {{1, "NEEDS_PIN_PAGES"}};
constexpr ValueText access_flags[] = {{1, "WRITE"}, {1 << 16, "SYZ"}};
constexpr ValueText rw_flags[] = {{1, "WRITE"}, {4, "SLOW_PATH"}, {1 << 16, "SYZ"}};
constexpr ValueText permissions[] = {{1, "READ"}, {2, "WRITE"}, {4, "EXEC"}, {8, "PRIV"}};

constexpr CallField add_reserved[] = {{"start", 16, 8, hex}, {"length", 24, 8, hex}};
constexpr CallField mock_domain[] = {
    {"out_stdev_id", 16, 4, decimal, out}, {"out_hwpt_id", 20, 4, decimal, out}, {"out_idev_id", 24, 4, decimal, out}};
constexpr CallField mock_domain_flags[] = {{"dev_flags", 28, 4, flags, in, device_flags},
                                           {"out_stdev_id", 16, 4, decimal, out},
                                           {"out_hwpt_id", 20, 4, decimal, out},
                                           {"out_idev_id", 24, 4, decimal, out}};
constexpr CallField pt_id[] = {{"pt_id", 16, 4}};
constexpr CallField check_map[] = {{"iova", 16, 8, hex}, {"length", 24, 8, hex}, {"uptr", 32, 8, hex}};
constexpr CallField check_refs[] = {{"length", 16, 8, hex}, {"uptr", 24, 8, hex}, {"refs", 32, 4}};
constexpr CallField create_access[] = {{"flags", 20, 4, flags, in, create_flags}, {"out_access_fd", 16, 4, descriptor, out}};
constexpr CallField access_pages_id[] = {{"access_pages_id", 16, 4}};
constexpr CallField access_pages[] = {{"flags", 16, 4, flags, in, access_flags},
                                      {"iova", 24, 8, hex},
                                      {"length", 32, 8, hex},
                                      {"uptr", 40, 8, hex},
                                      {"out_access_pages_id", 20, 4, decimal, out}};
constexpr CallField access_rw[] = {
    {"iova", 16, 8, hex}, {"length", 24, 8, hex}, {"uptr", 32, 8, hex}, {"flags", 40, 4, flags, in, rw_flags}};
constexpr CallField memory_limit[] = {{"limit", 16, 4}};
constexpr CallField ioas_id[] = {{"ioas_id", 16, 4}};
constexpr CallField dirty[] = {{"flags", 16, 4, hex},     {"iova", 24, 8, hex}, {"length", 32, 8, hex},
                               {"page_size", 40, 8, hex}, {"uptr", 48, 8, hex}, {"out_nr_dirty", 56, 8, decimal, out}};
constexpr CallField check_iotlb[] = {{"iotlb_id", 16, 4}, {"iotlb", 20, 4, hex}};
constexpr CallField check_cache[] = {{"cache_id", 16, 4}, {"cache", 20, 4, hex}};
constexpr CallField trigger_iopf[] = {
    {"dev_id", 16, 4}, {"pasid", 20, 4}, {"grpid", 24, 4}, {"perm", 28, 4, flags, in, permissions}, {"addr", 32, 8, hex}};
constexpr CallField dev_id[] = {{"dev_id", 16, 4}};
constexpr CallField pasid_pt_id[] = {{"pasid", 16, 4}, {"pt_id", 20, 4}};
constexpr CallField pasid[] = {{"pasid", 16, 4}};
constexpr CallField pasid_hwpt_id[] = {{"pasid", 16, 4}, {"hwpt_id", 20, 4}};
constexpr CallField dmabuf_get[] = {{"length", 16, 4, hex}, {"open_flags", 20, 4, hex}};
constexpr CallField dmabuf_revoke[] = {{"dmabuf_fd", 16, 4, descriptor}, {"revoked", 20, 4}};

constexpr TestOperationShape operations[] = {
    {1, "ADD_RESERVED", add_reserved},
    {2, "MOCK_DOMAIN", mock_domain},
    {3, "MD_CHECK_MAP", check_map},
    {4, "MD_CHECK_REFS", check_refs},
    {5, "CREATE_ACCESS", create_access},
    {6, "DESTROY_ACCESS_PAGES", access_pages_id},
    {7, "ACCESS_PAGES", access_pages},
    {8, "ACCESS_RW", access_rw},
    {9, "SET_TEMP_MEMORY_LIMIT", memory_limit},
    {10, "MOCK_DOMAIN_REPLACE", pt_id},
    {11, "ACCESS_REPLACE_IOAS", ioas_id},
    {12, "MOCK_DOMAIN_FLAGS", mock_domain_flags},
    {13, "DIRTY", dirty},
    {14, "MD_CHECK_IOTLB", check_iotlb},
    {15, "TRIGGER_IOPF", trigger_iopf},
    {16, "DEV_CHECK_CACHE", check_cache},
    {17, "TRIGGER_VEVENT", dev_id},
    {18, "PASID_ATTACH", pasid_pt_id},
    {19, "PASID_REPLACE", pasid_pt_id},
    {20, "PASID_DETACH", pasid},
    {21, "PASID_CHECK_HWPT", pasid_hwpt_id},
    {22, "DMABUF_GET", dmabuf_get},
    {23, "DMABUF_REVOKE", dmabuf_revoke},
};

// The operation itself is printed by name, where it is known.
constexpr CallField header[] = {{"id", 8, 4}, {"__reserved", 12, 4, hex, FieldUse::rare}};
constexpr CallShape call{selftest_request, "IOMMU_TEST_CMD", 72, header};

}  // namespace

CallShape const& selftest_call() { return call; }

TestOperationShape const* find_test_operation(std::uint32_t operation) {
  auto const found = std::ranges::find(operations, operation, &TestOperationShape::operation);
  return found == std::end(operations) ? nullptr : &*found;
}

}  // namespace swiommu::iommufd

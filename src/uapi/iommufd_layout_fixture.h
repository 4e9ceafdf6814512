// The numbers of the /dev/iommu ABI, written down apart from the definitions that they check. Included where the structures are
// defined, with STRUCTURE, FIELD and VALUE as the includer defines them: so it has no #pragma once.
// clang-format off
STRUCTURE(iommu_destroy, 8,
  FIELD(size, 0, 4) FIELD(id, 4, 4))
STRUCTURE(iommu_ioas_alloc, 12,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(out_ioas_id, 8, 4))
STRUCTURE(iommu_ioas_allow_iovas, 24,
  FIELD(size, 0, 4) FIELD(ioas_id, 4, 4) FIELD(num_iovas, 8, 4) FIELD(__reserved, 12, 4) FIELD(allowed_iovas, 16, 8))
STRUCTURE(iommu_ioas_copy, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(dst_ioas_id, 8, 4) FIELD(src_ioas_id, 12, 4) FIELD(length, 16, 8)
  FIELD(dst_iova, 24, 8) FIELD(src_iova, 32, 8))
STRUCTURE(iommu_ioas_iova_ranges, 32,
  FIELD(size, 0, 4) FIELD(ioas_id, 4, 4) FIELD(num_iovas, 8, 4) FIELD(__reserved, 12, 4) FIELD(allowed_iovas, 16, 8)
  FIELD(out_iova_alignment, 24, 8))
STRUCTURE(iommu_ioas_map, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(ioas_id, 8, 4) FIELD(__reserved, 12, 4) FIELD(user_va, 16, 8)
  FIELD(length, 24, 8) FIELD(iova, 32, 8))
STRUCTURE(iommu_ioas_unmap, 24,
  FIELD(size, 0, 4) FIELD(ioas_id, 4, 4) FIELD(iova, 8, 8) FIELD(length, 16, 8))
STRUCTURE(iommu_option, 24,
  FIELD(size, 0, 4) FIELD(option_id, 4, 4) FIELD(op, 8, 2) FIELD(__reserved, 10, 2) FIELD(object_id, 12, 4)
  FIELD(val64, 16, 8))
STRUCTURE(iommu_vfio_ioas, 12,
  FIELD(size, 0, 4) FIELD(ioas_id, 4, 4) FIELD(op, 8, 2) FIELD(__reserved, 10, 2))
STRUCTURE(iommu_hwpt_alloc, 48,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(dev_id, 8, 4) FIELD(pt_id, 12, 4) FIELD(out_hwpt_id, 16, 4)
  FIELD(__reserved, 20, 4) FIELD(data_type, 24, 4) FIELD(data_len, 28, 4) FIELD(data_uptr, 32, 8) FIELD(fault_id, 40, 4)
  FIELD(__reserved2, 44, 4))
STRUCTURE(iommu_hw_info, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(dev_id, 8, 4) FIELD(data_len, 12, 4) FIELD(data_uptr, 16, 8)
  FIELD(in_data_type, 24, 4) FIELD(out_data_type, 24, 4) FIELD(out_max_pasid_log2, 28, 1) FIELD(__reserved, 29, 3)
  FIELD(out_capabilities, 32, 8))
STRUCTURE(iommu_hwpt_set_dirty_tracking, 16,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(hwpt_id, 8, 4) FIELD(__reserved, 12, 4))
STRUCTURE(iommu_hwpt_get_dirty_bitmap, 48,
  FIELD(size, 0, 4) FIELD(hwpt_id, 4, 4) FIELD(flags, 8, 4) FIELD(__reserved, 12, 4) FIELD(iova, 16, 8) FIELD(length, 24, 8)
  FIELD(page_size, 32, 8) FIELD(data, 40, 8))
STRUCTURE(iommu_hwpt_invalidate, 32,
  FIELD(size, 0, 4) FIELD(hwpt_id, 4, 4) FIELD(data_uptr, 8, 8) FIELD(data_type, 16, 4) FIELD(entry_len, 20, 4)
  FIELD(entry_num, 24, 4) FIELD(__reserved, 28, 4))
STRUCTURE(iommu_fault_alloc, 16,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(out_fault_id, 8, 4) FIELD(out_fault_fd, 12, 4))
STRUCTURE(iommu_ioas_map_file, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(ioas_id, 8, 4) FIELD(fd, 12, 4) FIELD(start, 16, 8) FIELD(length, 24, 8)
  FIELD(iova, 32, 8))
STRUCTURE(iommu_viommu_alloc, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(type, 8, 4) FIELD(dev_id, 12, 4) FIELD(hwpt_id, 16, 4)
  FIELD(out_viommu_id, 20, 4) FIELD(data_len, 24, 4) FIELD(__reserved, 28, 4) FIELD(data_uptr, 32, 8))
STRUCTURE(iommu_vdevice_alloc, 24,
  FIELD(size, 0, 4) FIELD(viommu_id, 4, 4) FIELD(dev_id, 8, 4) FIELD(out_vdevice_id, 12, 4) FIELD(virt_id, 16, 8))
STRUCTURE(iommu_ioas_change_process, 8,
  FIELD(size, 0, 4) FIELD(__reserved, 4, 4))
STRUCTURE(iommu_veventq_alloc, 32,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(viommu_id, 8, 4) FIELD(type, 12, 4) FIELD(veventq_depth, 16, 4)
  FIELD(out_veventq_id, 20, 4) FIELD(out_veventq_fd, 24, 4) FIELD(__reserved, 28, 4))
STRUCTURE(iommu_hw_queue_alloc, 40,
  FIELD(size, 0, 4) FIELD(flags, 4, 4) FIELD(viommu_id, 8, 4) FIELD(type, 12, 4) FIELD(index, 16, 4)
  FIELD(out_hw_queue_id, 20, 4) FIELD(nesting_parent_iova, 24, 8) FIELD(length, 32, 8))

STRUCTURE(iommu_iova_range, 16,
  FIELD(start, 0, 8) FIELD(last, 8, 8))
STRUCTURE(iommu_hwpt_vtd_s1, 24,
  FIELD(flags, 0, 8) FIELD(pgtbl_addr, 8, 8) FIELD(addr_width, 16, 4) FIELD(__reserved, 20, 4))
STRUCTURE(iommu_hwpt_arm_smmuv3, 16,
  FIELD(ste, 0, 16))
STRUCTURE(iommu_hwpt_amd_guest, 32,
  FIELD(dte, 0, 32))
STRUCTURE(iommu_hwpt_vtd_s1_invalidate, 24,
  FIELD(addr, 0, 8) FIELD(npages, 8, 8) FIELD(flags, 16, 4) FIELD(__reserved, 20, 4))
STRUCTURE(iommu_viommu_arm_smmuv3_invalidate, 16,
  FIELD(cmd, 0, 16))
STRUCTURE(iommu_hw_info_vtd, 24,
  FIELD(flags, 0, 4) FIELD(__reserved, 4, 4) FIELD(cap_reg, 8, 8) FIELD(ecap_reg, 16, 8))
STRUCTURE(iommu_hw_info_arm_smmuv3, 40,
  FIELD(flags, 0, 4) FIELD(__reserved, 4, 4) FIELD(idr, 8, 24) FIELD(iidr, 32, 4) FIELD(aidr, 36, 4))
STRUCTURE(iommu_hw_info_tegra241_cmdqv, 8,
  FIELD(flags, 0, 4) FIELD(version, 4, 1) FIELD(log2vcmdqs, 5, 1) FIELD(log2vsids, 6, 1) FIELD(__reserved, 7, 1))
STRUCTURE(iommu_hw_info_amd, 16,
  FIELD(efr, 0, 8) FIELD(efr2, 8, 8))
STRUCTURE(iommu_viommu_tegra241_cmdqv, 16,
  FIELD(out_vintf_mmap_offset, 0, 8) FIELD(out_vintf_mmap_length, 8, 8))
STRUCTURE(iommu_hwpt_pgfault, 40,
  FIELD(flags, 0, 4) FIELD(dev_id, 4, 4) FIELD(pasid, 8, 4) FIELD(grpid, 12, 4) FIELD(perm, 16, 4) FIELD(__reserved, 20, 4)
  FIELD(addr, 24, 8) FIELD(length, 32, 4) FIELD(cookie, 36, 4))
STRUCTURE(iommu_hwpt_page_response, 8,
  FIELD(cookie, 0, 4) FIELD(code, 4, 4))
STRUCTURE(iommufd_vevent_header, 8,
  FIELD(flags, 0, 4) FIELD(sequence, 4, 4))
STRUCTURE(iommu_vevent_arm_smmuv3, 32,
  FIELD(evt, 0, 32))
STRUCTURE(iommu_vevent_tegra241_cmdqv, 16,
  FIELD(lvcmdq_err_map, 0, 16))

VALUE(IOMMUFD_CMD_DESTROY, 0x80)
VALUE(IOMMUFD_CMD_IOAS_ALLOC, 0x81)
VALUE(IOMMUFD_CMD_IOAS_ALLOW_IOVAS, 0x82)
VALUE(IOMMUFD_CMD_IOAS_COPY, 0x83)
VALUE(IOMMUFD_CMD_IOAS_IOVA_RANGES, 0x84)
VALUE(IOMMUFD_CMD_IOAS_MAP, 0x85)
VALUE(IOMMUFD_CMD_IOAS_UNMAP, 0x86)
VALUE(IOMMUFD_CMD_OPTION, 0x87)
VALUE(IOMMUFD_CMD_VFIO_IOAS, 0x88)
VALUE(IOMMUFD_CMD_HWPT_ALLOC, 0x89)
VALUE(IOMMUFD_CMD_GET_HW_INFO, 0x8a)
VALUE(IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING, 0x8b)
VALUE(IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP, 0x8c)
VALUE(IOMMUFD_CMD_HWPT_INVALIDATE, 0x8d)
VALUE(IOMMUFD_CMD_FAULT_QUEUE_ALLOC, 0x8e)
VALUE(IOMMUFD_CMD_IOAS_MAP_FILE, 0x8f)
VALUE(IOMMUFD_CMD_VIOMMU_ALLOC, 0x90)
VALUE(IOMMUFD_CMD_VDEVICE_ALLOC, 0x91)
VALUE(IOMMUFD_CMD_IOAS_CHANGE_PROCESS, 0x92)
VALUE(IOMMUFD_CMD_VEVENTQ_ALLOC, 0x93)
VALUE(IOMMUFD_CMD_HW_QUEUE_ALLOC, 0x94)

VALUE(IOMMU_IOAS_MAP_FIXED_IOVA, 1)
VALUE(IOMMU_IOAS_MAP_WRITEABLE, 2)
VALUE(IOMMU_IOAS_MAP_READABLE, 4)
VALUE(IOMMU_OPTION_RLIMIT_MODE, 0)
VALUE(IOMMU_OPTION_HUGE_PAGES, 1)
VALUE(IOMMU_OPTION_OP_SET, 0)
VALUE(IOMMU_OPTION_OP_GET, 1)
VALUE(IOMMU_VFIO_IOAS_GET, 0)
VALUE(IOMMU_VFIO_IOAS_SET, 1)
VALUE(IOMMU_VFIO_IOAS_CLEAR, 2)
VALUE(IOMMU_HWPT_ALLOC_NEST_PARENT, 1)
VALUE(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 2)
VALUE(IOMMU_HWPT_FAULT_ID_VALID, 4)
VALUE(IOMMU_HWPT_ALLOC_PASID, 8)
VALUE(IOMMU_HWPT_DATA_NONE, 0)
VALUE(IOMMU_HWPT_DATA_VTD_S1, 1)
VALUE(IOMMU_HWPT_DATA_ARM_SMMUV3, 2)
VALUE(IOMMU_HWPT_DATA_AMD_GUEST, 3)
VALUE(IOMMU_VTD_S1_SRE, 1)
VALUE(IOMMU_VTD_S1_EAFE, 2)
VALUE(IOMMU_VTD_S1_WPE, 4)
VALUE(IOMMU_HWPT_DIRTY_TRACKING_ENABLE, 1)
VALUE(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, 1)
VALUE(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 0)
VALUE(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 1)
VALUE(IOMMU_VTD_INV_FLAGS_LEAF, 1)
VALUE(IOMMU_HW_INFO_TYPE_NONE, 0)
VALUE(IOMMU_HW_INFO_TYPE_DEFAULT, 0)
VALUE(IOMMU_HW_INFO_TYPE_INTEL_VTD, 1)
VALUE(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, 2)
VALUE(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, 3)
VALUE(IOMMU_HW_INFO_TYPE_AMD, 4)
VALUE(IOMMU_HW_INFO_FLAG_INPUT_TYPE, 1)
VALUE(IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, 1)
VALUE(IOMMU_HW_CAP_DIRTY_TRACKING, 1)
VALUE(IOMMU_HW_CAP_PCI_PASID_EXEC, 2)
VALUE(IOMMU_HW_CAP_PCI_PASID_PRIV, 4)
VALUE(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, 8)
VALUE(IOMMU_PGFAULT_FLAGS_PASID_VALID, 1)
VALUE(IOMMU_PGFAULT_FLAGS_LAST_PAGE, 2)
VALUE(IOMMU_PGFAULT_PERM_READ, 1)
VALUE(IOMMU_PGFAULT_PERM_WRITE, 2)
VALUE(IOMMU_PGFAULT_PERM_EXEC, 4)
VALUE(IOMMU_PGFAULT_PERM_PRIV, 8)
VALUE(IOMMUFD_PAGE_RESP_SUCCESS, 0)
VALUE(IOMMUFD_PAGE_RESP_INVALID, 1)
VALUE(IOMMU_VIOMMU_TYPE_DEFAULT, 0)
VALUE(IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 1)
VALUE(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, 2)
VALUE(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 1)
VALUE(IOMMU_VEVENTQ_TYPE_DEFAULT, 0)
VALUE(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 1)
VALUE(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 2)
VALUE(IOMMU_HW_QUEUE_TYPE_DEFAULT, 0)
VALUE(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, 1)
// clang-format on

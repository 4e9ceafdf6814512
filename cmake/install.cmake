# cmake --install, and a package for find_package(swiommu).
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/swiommu)

install(TARGETS swiommu swiommu_uapi EXPORT swiommu-targets)
if(TARGET swiommu_tool)
  install(TARGETS swiommu_tool)
  install(TARGETS swiommu_preloaded LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
endif()
install(DIRECTORY include/swiommu DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(EXPORT swiommu-targets NAMESPACE swiommu:: DESTINATION ${package_folder})

configure_package_config_file(cmake/swiommu-config.cmake.in swiommu-config.cmake INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(swiommu-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/swiommu-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/swiommu-config-version.cmake
  DESTINATION ${package_folder})

# ./dev oracle: not built by default, because it needs QEMU to run.
file(GLOB oracle_sources CONFIGURE_DEPENDS tests/oracle/*.cc)
list(FILTER oracle_sources EXCLUDE REGEX "_test\\.cc$")
find_package(CLI11 REQUIRED)
add_executable(swiommu_oracle EXCLUDE_FROM_ALL ${oracle_sources})
target_include_directories(swiommu_oracle PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(swiommu_oracle PRIVATE swiommu fmt::fmt CLI11::CLI11)
swiommu_settings(swiommu_oracle)

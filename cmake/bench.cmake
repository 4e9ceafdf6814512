# swiommu_bench out of bench/*.cc.
file(GLOB bench_sources CONFIGURE_DEPENDS bench/*.cc)
find_package(benchmark QUIET)
if(bench_sources AND benchmark_FOUND)
  add_executable(swiommu_bench ${bench_sources})
  target_include_directories(swiommu_bench PRIVATE src bench tests)
  target_link_libraries(swiommu_bench PRIVATE
    swiommu fmt::fmt PkgConfig::libelf PkgConfig::libzstd benchmark::benchmark benchmark::benchmark_main)
  swiommu_settings(swiommu_bench)
endif()

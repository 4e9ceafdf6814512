# Programs that run under `swiommu run`, each a test: tests/run/programs/*. They know nothing of swiommu but the uapi headers.
if(SWIOMMU_TEST_SUITES AND NOT "Run" IN_LIST SWIOMMU_TEST_SUITES)
  return()
endif()
file(GLOB run_programs CONFIGURE_DEPENDS tests/run/programs/*.c tests/run/programs/*.cc)
foreach(source ${run_programs})
  cmake_path(GET source STEM name)
  add_executable(run_${name} ${source})
  target_include_directories(run_${name} PRIVATE include src)
  target_compile_options(run_${name} PRIVATE -Wall -Wextra)
  target_link_libraries(run_${name} PRIVATE Threads::Threads)
  set(profile "")
  if(name MATCHES "^memory_")
    set(profile --profile kernel-selftest)  # a test ioctl that does DMA
  endif()
  add_test(NAME Run.${name} COMMAND
    swiommu_tool run ${profile} --log ${CMAKE_CURRENT_BINARY_DIR}/run-${name}.log -- $<TARGET_FILE:run_${name}>)
  set_tests_properties(Run.${name} PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})
endforeach()

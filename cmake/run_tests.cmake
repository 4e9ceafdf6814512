# Programs that run under `swiommu run`, each a test: tests/run/programs/*. They know nothing of swiommu but the uapi headers.
if(SWIOMMU_TEST_SUITES AND NOT "Run" IN_LIST SWIOMMU_TEST_SUITES)
  return()
endif()
file(GLOB run_programs CONFIGURE_DEPENDS tests/run/programs/*.c tests/run/programs/*.cc)
foreach(source ${run_programs})
  cmake_path(GET source STEM name)
  add_executable(run_${name} ${source})
  target_include_directories(run_${name} PRIVATE include src)
  target_compile_options(run_${name} PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
  target_link_libraries(run_${name} PRIVATE Threads::Threads)
  add_dependencies(run_${name} swiommu_preloaded)
  add_test(NAME Run.${name} COMMAND
    swiommu_tool run --profile kernel-selftest --log ${CMAKE_CURRENT_BINARY_DIR}/run-${name}.log -- $<TARGET_FILE:run_${name}>)
  set_tests_properties(Run.${name} PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})
endforeach()

add_test(NAME Run.preloaded_library COMMAND ${PROJECT_SOURCE_DIR}/tests/run/preloaded_library.sh
  $<TARGET_FILE:swiommu_preloaded> ${PROJECT_SOURCE_DIR}/src/run/preload/names.txt)
add_test(NAME Run.launcher COMMAND ${PROJECT_SOURCE_DIR}/tests/run/launcher.sh $<TARGET_FILE:swiommu_tool> ${CMAKE_C_COMPILER})
add_test(NAME Run.devices COMMAND ${PROJECT_SOURCE_DIR}/tests/run/devices.sh $<TARGET_FILE:swiommu_tool> ${CMAKE_C_COMPILER})

# A driver in user space that does real I/O, through what it maps and through a page table of its own.
foreach(way "" --nested)
  set(image ${CMAKE_CURRENT_BINARY_DIR}/run-nvme${way}.img)
  add_test(NAME Run.nvme_driver${way} COMMAND swiommu_tool run --device nvme:${image},size=64M --
    $<TARGET_FILE:swiommu_example_nvme> ${way} --commands 3000)
  set_tests_properties(Run.nvme_driver${way} PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})
endforeach()

# Registers that act, mapped.
add_executable(run_with_ioat tests/run/programs/with_ioat/registers.c)
target_include_directories(run_with_ioat PRIVATE include)
target_compile_options(run_with_ioat PRIVATE -Wall -Wextra -Wno-missing-field-initializers)
target_link_libraries(run_with_ioat PRIVATE Threads::Threads)
add_test(NAME Run.registers_that_act COMMAND swiommu_tool run --device ioat -- $<TARGET_FILE:run_with_ioat>)
set_tests_properties(Run.registers_that_act PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})

# Threads of devices do not keep a program whose own have ended.
add_test(NAME Run.last_thread_beside_a_device COMMAND swiommu_tool run --profile kernel-selftest --device ioat --
  $<TARGET_FILE:run_last_thread>)
set_tests_properties(Run.last_thread_beside_a_device PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})

# One test program out of every *_test.cc, so that adding a test needs no edit here.
file(GLOB_RECURSE test_sources CONFIGURE_DEPENDS src/*_test.cc tests/*_test.cc)
list(FILTER test_sources EXCLUDE REGEX "/tests/no_wait/")
file(GLOB no_wait_sources CONFIGURE_DEPENDS tests/no_wait/*.cc)
if(SWIOMMU_SANITIZE)
  set(no_wait_sources "")  # wrong on purpose: a sanitizer would say so
endif()

# What is slow, as the thread sanitizer is, builds and runs a part only.
set(test_filter "")
if(SWIOMMU_TEST_SUITES)
  list(JOIN SWIOMMU_TEST_SUITES "|" suites)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${test_sources})
  foreach(source ${test_sources})
    file(STRINGS ${source} matching REGEX "^ *[A-Z_]*(TEST|PROP|SUITE)[A-Z_]*\\([A-Za-z0-9_]*(${suites})" LIMIT_COUNT 1)
    if(NOT matching)
      list(REMOVE_ITEM test_sources ${source})
    endif()
  endforeach()
  list(TRANSFORM SWIOMMU_TEST_SUITES REPLACE "(.+)" "*\\1*.*" OUTPUT_VARIABLE test_filter)
  list(JOIN test_filter ":" test_filter)
  set(test_filter TEST_FILTER ${test_filter})
endif()
if(NOT test_sources AND NOT no_wait_sources)
  return()
endif()

find_package(GTest REQUIRED)
find_package(rapidcheck REQUIRED)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
include(GoogleTest)

# gcc inlines the operator new of this file but not the delete, and takes them for a mismatch.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/failing_new_test.cc PROPERTIES COMPILE_OPTIONS -Wno-mismatched-new-delete)
endif()

# The paths whose instructions are counted have parts that are inline: as users compile them.
set_source_files_properties(${PROJECT_SOURCE_DIR}/tests/instructions/instruction_counts_test.cc PROPERTIES
  COMPILE_OPTIONS -O2 SKIP_PRECOMPILE_HEADERS ON)

# The tests that run what the fuzzers run.
file(GLOB fuzz_test_sources tests/fuzz/*_test.cc)
set_source_files_properties(${fuzz_test_sources} PROPERTIES
  INCLUDE_DIRECTORIES ${PROJECT_SOURCE_DIR}/fuzz COMPILE_DEFINITIONS SWIOMMU_FUZZ_CORPUS="${PROJECT_SOURCE_DIR}/fuzz/corpus")

function(swiommu_test_program target library)
  add_executable(${target} ${ARGN})
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  target_compile_definitions(${target} PRIVATE SWIOMMU_TEST_CORPUS="${PROJECT_SOURCE_DIR}/tests/corpus")
  target_link_libraries(${target} PRIVATE ${library} fmt::fmt PkgConfig::libelf PkgConfig::libzstd CLI11::CLI11
    nlohmann_json::nlohmann_json rapidcheck rapidcheck_gtest rapidcheck_gmock GTest::gmock GTest::gtest GTest::gmock_main)
  swiommu_settings(${target})
  swiommu_precompile(${target} <gtest/gtest.h> <gmock/gmock.h>)
  if(NOT SWIOMMU_SANITIZE)
    # the time goes into compiling the tests, not into running them
    target_compile_options(${target} PRIVATE -O1)
  endif()
  # PRE_TEST: the tests are listed by ctest, so that a build runs nothing
  gtest_discover_tests(${target} DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60 ${test_filter}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} PROPERTIES TIMEOUT ${SWIOMMU_TEST_TIMEOUT})
endfunction()

# Linux' own <linux/iommufd.h>, if there is one: installed, or in a kernel tree that ./dev conformance has unpacked.
file(GLOB kernel_headers build/conformance/*/include/uapi/linux/iommufd.h)
list(TRANSFORM kernel_headers REPLACE "/linux/iommufd.h$" "" OUTPUT_VARIABLE kernel_header_folders)
if(NOT EXISTS "${SWIOMMU_LINUX_IOMMUFD_H}")
  unset(SWIOMMU_LINUX_IOMMUFD_H CACHE)  # it has gone since
endif()
find_file(SWIOMMU_LINUX_IOMMUFD_H linux/iommufd.h PATHS ${kernel_header_folders})
mark_as_advanced(SWIOMMU_LINUX_IOMMUFD_H)
if(SWIOMMU_LINUX_IOMMUFD_H)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/uapi/linux_iommufd_layout_test.cc PROPERTIES
    COMPILE_DEFINITIONS SWIOMMU_LINUX_IOMMUFD_H="${SWIOMMU_LINUX_IOMMUFD_H}")
endif()

# includes(result PATTERN): does one of the tests include such a header?
function(includes result pattern)
  set(${result} FALSE PARENT_SCOPE)
  foreach(source ${test_sources})
    file(STRINGS ${source} matching REGEX "^#include \"(${pattern})" LIMIT_COUNT 1)
    if(matching)
      set(${result} TRUE PARENT_SCOPE)
    endif()
  endforeach()
endfunction()

if(test_sources)
  swiommu_test_program(swiommu_tests swiommu ${test_sources})
  if(TARGET swiommu_tool)
    target_link_libraries(swiommu_tests PRIVATE swiommu_tools)
    # the rest of the program takes minutes under sanitizers: only for those who use it
    includes(uses_subcommands "(bench/|tools/subcommands/|run_program\\.h)")
    includes(uses_run "run/")
    if(uses_subcommands)
      target_link_libraries(swiommu_tests PRIVATE swiommu_subcommands)
      target_compile_definitions(swiommu_tests PRIVATE SWIOMMU_PROGRAM="$<TARGET_FILE:swiommu_tool>")
      add_dependencies(swiommu_tests swiommu_tool)
    elseif(uses_run)
      target_link_libraries(swiommu_tests PRIVATE swiommu_run)
    endif()
    if(SWIOMMU_TEST_SUITES AND NOT "Run" IN_LIST SWIOMMU_TEST_SUITES)
      set_target_properties(${program_targets} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    endif()
  endif()
endif()

# The library once more, made wrong on purpose: it does not wait for DMA in flight. The tests beside it prove that the
# tests of that wait can fail.
if(no_wait_sources)
  set(wait src/base/grace_period.cc)
  add_library(swiommu_no_wait STATIC EXCLUDE_FROM_ALL ${wait} $<FILTER:$<TARGET_OBJECTS:swiommu>,EXCLUDE,${wait}>)
  target_compile_definitions(swiommu_no_wait PRIVATE SWIOMMU_NO_GRACE_WAIT)
  target_include_directories(swiommu_no_wait PUBLIC include PRIVATE src)
  target_link_libraries(swiommu_no_wait PUBLIC Threads::Threads)
  swiommu_settings(swiommu_no_wait)
  swiommu_test_program(swiommu_no_wait_tests swiommu_no_wait ${no_wait_sources})
endif()

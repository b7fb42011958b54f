# One layer is one library and one test program:
#   module(cp_store SOURCES a.cc DEPS common TESTS a_test.cc LABELS grpc)
include(GoogleTest)

add_library(build_flags INTERFACE)
target_include_directories(build_flags INTERFACE ${CMAKE_SOURCE_DIR})
target_compile_options(build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor -Woverloaded-virtual
  -Wimplicit-fallthrough -Wextra-semi $<$<BOOL:${TRIBUTARY_WERROR}>:-Werror>)
if(TRIBUTARY_SANITIZE)
  add_compile_options(-fsanitize=${TRIBUTARY_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${TRIBUTARY_SANITIZE})
endif()

if(TRIBUTARY_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)  # coverage for the fuzz targets
endif()

# Each test_*.py of this folder as one ctest test `<kind>.<name>`, against the programs just built.
function(pytest_files kind)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/test_*.py)
  foreach(file ${files})
    get_filename_component(name ${file} NAME_WE)
    string(REPLACE "test_" "${kind}." name ${name})
    add_test(NAME ${name}
             COMMAND /usr/bin/python3 -B -m pytest -q -p no:cacheprovider --tb=short ${file})
    set_tests_properties(${name} PROPERTIES
      LABELS e2e TIMEOUT 300 ENVIRONMENT "TRIBUTARY_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  endforeach()
endfunction()

function(module name)
  cmake_parse_arguments(M "" "" "SOURCES;TESTS;DEPS;TEST_DEPS;LABELS" ${ARGN})
  if(M_SOURCES)
    add_library(${name} STATIC ${M_SOURCES})
    target_link_libraries(${name} PUBLIC ${M_DEPS} PRIVATE build_flags)
    target_include_directories(${name} PUBLIC ${CMAKE_SOURCE_DIR})
    set(self ${name})
  else()
    set(self ${M_DEPS})
  endif()
  if(M_TESTS)
    add_executable(${name}_test ${M_TESTS})
    target_link_libraries(${name}_test PRIVATE ${self} ${M_TEST_DEPS} build_flags
                          GTest::gmock GTest::gtest_main)
    gtest_discover_tests(${name}_test DISCOVERY_MODE PRE_TEST TEST_PREFIX "${name}."
                         PROPERTIES LABELS "unit;${M_LABELS}" TIMEOUT 300)
  endif()
endfunction()

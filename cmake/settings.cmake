# What every translation unit of this project is compiled with.
add_library(descent_settings INTERFACE)
target_include_directories(descent_settings INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(descent_settings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Werror
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overflow -Wno-restrict>)
# -ffp-contract=off: the same source gives the same bits whether or not the target has fused multiply-add.
target_compile_options(descent_settings INTERFACE -ffp-contract=off)
if(DESCENT_SANITIZE)
  target_compile_options(descent_settings INTERFACE -fsanitize=${DESCENT_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(descent_settings INTERFACE -fsanitize=${DESCENT_SANITIZE})
endif()
if(DESCENT_SANITIZE MATCHES undefined AND NOT DESCENT_FUZZ)  # tests/fuzz says so itself
  target_compile_options(descent_settings INTERFACE -fno-sanitize-recover=undefined)  # a finding fails its test
endif()
find_program(CCACHE ccache)
if(CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
endif()
# GCC 12 takes its own AVX-512 intrinsics' "undefined" operands for uninitialised variables.
file(GLOB DESCENT_AVX512_SOURCES CONFIGURE_DEPENDS descent/backend/cpu/*_avx512.cpp descent/backend/cpu/*_amx.cpp)
list(APPEND DESCENT_AVX512_SOURCES descent/backend/cpu/attention_tiles.cpp
  descent/backend/cpu/attention_tiles_gradient.cpp)
set_source_files_properties(${DESCENT_AVX512_SOURCES} PROPERTIES COMPILE_OPTIONS
  "$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>")

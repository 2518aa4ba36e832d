# Writes ops.h (every op header) and ops_registry.cpp (the list of all ops), run by the build whenever a header changes:
#   cmake -DSOURCE=<repository> -DOUT=<folder> -P write_ops.cmake
# A header in descent/ops/ that says `static constexpr auto name` is an op: layer_norm.h defines LayerNorm. The others
# only help.
cmake_minimum_required(VERSION 3.25)
file(GLOB headers RELATIVE ${SOURCE} ${SOURCE}/descent/ops/*.h)
set(includes "")
set(checks "")
set(records "")
set(declared "")  # each op's record is made once, in the library: other files need not compile its rules and samples
set(defined "")
foreach(header IN LISTS headers)
  string(APPEND includes "#include \"${header}\"\n")
  file(STRINGS ${SOURCE}/${header} names REGEX "static constexpr auto name =")
  if(NOT names)
    continue()
  endif()
  get_filename_component(file ${header} NAME_WE)
  string(REPLACE "_" ";" words ${file})
  set(type "")
  foreach(word IN LISTS words)
    string(SUBSTRING ${word} 0 1 first)
    string(SUBSTRING ${word} 1 -1 rest)
    string(TOUPPER ${first} first)
    string(APPEND type ${first}${rest})
  endforeach()
  string(APPEND checks
    "static_assert(OpSpec<${type}>, \"${header}: ${type} must state name, summary, op_class, arity, infer, evaluate, samples, \"\n"
    "              \"and vjp, expand or no_gradient; composites, and only they, expand\");\n"
    "static_assert(std::string_view(${type}::name) == \"${file}\", \"${header}: ${type} must have the file's name\");\n")
  string(APPEND records "      &op_def<${type}>(),\n")
  string(APPEND declared "extern template const OpDef& op_def<${type}>();\n")
  string(APPEND defined "template const OpDef& op_def<${type}>();\n")
endforeach()

file(CONFIGURE OUTPUT ${OUT}/descent/ops/ops.h CONTENT
"// Every op, and what they share. Written by the build: see cmake/write_ops.cmake.
#pragma once

${includes}
namespace descent {

${declared}
}  // namespace descent
")
file(CONFIGURE OUTPUT ${OUT}/ops_registry.cpp CONTENT
"// The list of all ops. Written by the build: see cmake/write_ops.cmake.
#include \"descent/ops/ops.h\"
#include \"descent/ops/registry.h\"

namespace descent {

${checks}
${defined}
std::span<const OpDef* const> registry() {
  static const OpDef* const ops[] = {
${records}  };
  return ops;
}

}  // namespace descent
")

# The list of ops, made from the headers of descent/ops/: an op joins by being a file there.
set(DESCENT_GENERATED ${PROJECT_BINARY_DIR}/generated)
file(GLOB op_headers CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/descent/ops/*.h)
add_custom_command(
  OUTPUT ${DESCENT_GENERATED}/ops_registry.cpp ${DESCENT_GENERATED}/descent/ops/ops.h
  COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DOUT=${DESCENT_GENERATED} -P ${PROJECT_SOURCE_DIR}/cmake/write_ops.cmake
  DEPENDS ${op_headers} cmake/write_ops.cmake
  COMMENT "Listing the ops")
add_custom_target(descent_generated DEPENDS ${DESCENT_GENERATED}/ops_registry.cpp)
target_include_directories(descent_settings INTERFACE ${DESCENT_GENERATED})

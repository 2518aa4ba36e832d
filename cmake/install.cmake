# `cmake --install`, find_package(descent) and pkg-config.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS descent EXPORT descent_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
if(TARGET descent_cli)
  install(TARGETS descent_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY descent DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY ${DESCENT_GENERATED}/descent DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
install(DIRECTORY recipes DESTINATION ${CMAKE_INSTALL_DATADIR}/descent)
install(EXPORT descent_targets FILE descent_targets.cmake NAMESPACE descent:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)

configure_package_config_file(cmake/descent-config.cmake.in ${PROJECT_BINARY_DIR}/descent-config.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/descent-config-version.cmake COMPATIBILITY SameMinorVersion)
configure_file(cmake/descent.pc.in ${PROJECT_BINARY_DIR}/descent.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/descent-config.cmake ${PROJECT_BINARY_DIR}/descent-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/descent)
install(FILES ${PROJECT_BINARY_DIR}/descent.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# What `cmake --install` writes: the headers, a package for find_package, and one for pkg-config. Nothing in it depends
# on the machine, so all of it goes under share/.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(raft_package_dir "${CMAKE_INSTALL_DATADIR}/cmake/raft")
set(raft_pkgconfig_dir "${CMAKE_INSTALL_DATADIR}/pkgconfig")

target_include_directories(raft INTERFACE "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
install(TARGETS raft EXPORT raft-targets)
install(EXPORT raft-targets NAMESPACE raft:: DESTINATION "${raft_package_dir}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/raft" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
  FILES_MATCHING PATTERN "*.hpp")

# Below 1.0 a minor version may break its users (semver.org, item 4).
if(PROJECT_VERSION_MAJOR EQUAL 0)
  set(raft_compatibility SameMinorVersion)
else()
  set(raft_compatibility SameMajorVersion)
endif()
configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/raft-config.cmake.in" "${PROJECT_BINARY_DIR}/raft-config.cmake"
  INSTALL_DESTINATION "${raft_package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file("${PROJECT_BINARY_DIR}/raft-config-version.cmake"
  COMPATIBILITY ${raft_compatibility} ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/raft-config.cmake" "${PROJECT_BINARY_DIR}/raft-config-version.cmake"
  DESTINATION "${raft_package_dir}")

# The prefix is found from the file's own place, so that an installed tree may be moved.
set(raft_root "/raft-prefix")
cmake_path(ABSOLUTE_PATH raft_pkgconfig_dir BASE_DIRECTORY "${raft_root}" OUTPUT_VARIABLE raft_pkgconfig_full)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_INCLUDEDIR BASE_DIRECTORY "${raft_root}" OUTPUT_VARIABLE raft_include_full)
cmake_path(RELATIVE_PATH raft_include_full BASE_DIRECTORY "${raft_pkgconfig_full}" OUTPUT_VARIABLE raft_include_from_pc)
configure_file("${CMAKE_CURRENT_LIST_DIR}/raft.pc.in" "${PROJECT_BINARY_DIR}/raft.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/raft.pc" DESTINATION "${raft_pkgconfig_dir}")

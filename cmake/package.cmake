# What cpack makes a package of; scripts/package calls it. Under ODS_PACKAGE `cmake --install` also puts in place
# what only a package has: configuration in /etc, what Debian wants of documents, and the bill of materials.
option(ODS_PACKAGE "install what a package has beside the program" OFF)
set(ODS_MAINTAINER "ods-sink maintainers <ods-sink@packages.invalid>" CACHE STRING
    "whom a package names as its maintainer")
if(NOT ODS_PACKAGE)
  return()
endif()

# The same sources give the same bytes, in whichever folder they are built.
target_compile_options(ods_options INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.
                                             -ffile-prefix-map=${CMAKE_BINARY_DIR}=.)
target_compile_options(ods_options INTERFACE -fstack-protector-strong -fstack-clash-protection
                                             $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>)
target_link_options(ods_options INTERFACE -Wl,-z,relro,-z,now -pie)
set_property(TARGET ods-sink ods-generate PROPERTY POSITION_INDEPENDENT_CODE ON)

file(STRINGS /etc/os-release ODS_RELEASE REGEX "^VERSION_ID=")
string(REGEX REPLACE "[^0-9]" "" ODS_RELEASE "${ODS_RELEASE}")

# Debian 12 has no yyjson: the library goes along, where only this program looks for it.
if(ODS_RELEASE STREQUAL 12)
  find_file(ODS_YYJSON_SO libyyjson.so.0 PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} REQUIRED
            NO_DEFAULT_PATH)
  file(REAL_PATH ${ODS_YYJSON_SO} ODS_YYJSON_FILE)
  install(PROGRAMS ${ODS_YYJSON_FILE} RENAME libyyjson.so.0 DESTINATION lib/ods-sink
          PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  set_target_properties(ods-sink ods-generate PROPERTIES INSTALL_RPATH /usr/lib/ods-sink)
  set(ODS_SBOM_BUNDLED --bundled libyyjson.so.0)
endif()

install(TARGETS ods-generate RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES config/ods-sink.conf.example RENAME ods-sink.conf DESTINATION /etc/ods-sink)
install(FILES config/tables.yaml.example RENAME tables.yaml DESTINATION /etc/ods-sink)
install(FILES packaging/debian/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(ODS_PACKED ${CMAKE_CURRENT_BINARY_DIR}/packed)
add_custom_command(
  OUTPUT ${ODS_PACKED}/changelog.gz ${ODS_PACKED}/ods-generate.1
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ODS_PACKED}
  COMMAND gzip -9nc ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/changelog > ${ODS_PACKED}/changelog.gz
  COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/packaging/ods-generate.1 ${ODS_PACKED}
  DEPENDS packaging/debian/changelog packaging/ods-generate.1)
add_custom_command(
  OUTPUT ${ODS_PACKED}/ods-sink.spdx.json
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/sbom --version ${PROJECT_VERSION} ${ODS_SBOM_BUNDLED}
          "$<$<TARGET_EXISTS:ods_lake>:--crates;${CMAKE_CURRENT_SOURCE_DIR}/lake>"
          --output ${ODS_PACKED}/ods-sink.spdx.json $<TARGET_FILE:ods-sink> $<TARGET_FILE:ods-generate>
  DEPENDS ods-sink ods-generate $<$<TARGET_EXISTS:ods_lake>:ods_lake> lake/Cargo.lock scripts/sbom ${ODS_PACKED}/changelog.gz
  COMMAND_EXPAND_LISTS)
add_custom_target(packed ALL DEPENDS ${ODS_PACKED}/changelog.gz ${ODS_PACKED}/ods-sink.spdx.json)
install(FILES ${ODS_PACKED}/changelog.gz ${ODS_PACKED}/ods-sink.spdx.json
        DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${ODS_PACKED}/ods-generate.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
# Last: the manuals in place, compressed, as all of Debian's are.
install(CODE "
  file(GLOB manuals \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_MANDIR}/man1/*.1\")
  execute_process(COMMAND gzip -9nf \${manuals} COMMAND_ERROR_IS_FATAL ANY)
")

set(CPACK_GENERATOR DEB)
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGE_NAME ods-sink)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${ODS_MAINTAINER}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "keeps an operational data store equal to its source")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"Reads row changes (Debezium in JSON, Avro or Protobuf, Maxwell) from Kafka or
from queues of AMQP 1.0 and applies them to PostgreSQL, MySQL and other
targets: each once, in order, with offsets in the rows' own transaction.
.
The daemon is not started by its installation: edit the two files in
/etc/ods-sink, then enable ods-sink.service.")
set(CPACK_DEBIAN_PACKAGE_VERSION "${PROJECT_VERSION}+deb${ODS_RELEASE}")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, curl")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "postgresql")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE})
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/conffiles
  ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/postinst
  ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/prerm
  ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/postrm)
include(CPack)

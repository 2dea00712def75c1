# What `cmake --install` puts in place: binary, manual, systemd unit, examples, SQL, connectors.
include(GNUInstallDirs)
set(ODS_DATA_DIR ${CMAKE_INSTALL_DATADIR}/ods-sink)

install(TARGETS ods-sink RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES docs/ods-sink.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)

file(GLOB ODS_EXAMPLES CONFIGURE_DEPENDS config/*.example)
install(FILES ${ODS_EXAMPLES} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES docs/configuration.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY config/connectors sql DESTINATION ${ODS_DATA_DIR})

# The unit names the binary by its whole path, which is known only now: --prefix may have changed it.
install(CODE "
  file(READ \"${CMAKE_CURRENT_SOURCE_DIR}/config/systemd/ods-sink.service\" unit)
  string(REPLACE \"/usr/bin/ods-sink\"
                 \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/ods-sink\" unit \"\${unit}\")
  file(WRITE \"${CMAKE_CURRENT_BINARY_DIR}/ods-sink.service\" \"\${unit}\")
")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ods-sink.service DESTINATION lib/systemd/system)

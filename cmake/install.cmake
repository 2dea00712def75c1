# What `cmake --install` puts in place: binary, manuals, completion, systemd unit, pages, examples, SQL, connectors.
include(GNUInstallDirs)
set(ODS_DATA_DIR ${CMAKE_INSTALL_DATADIR}/ods-sink)

install(TARGETS ods-sink RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

# Man pages and completion come from the program's own table of commands.
set(ODS_REFERENCE ${CMAKE_CURRENT_BINARY_DIR}/reference)
add_custom_command(
  OUTPUT ${ODS_REFERENCE}/man/ods-sink.1
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${ODS_REFERENCE}
  COMMAND ${CMAKE_COMMAND} -E make_directory ${ODS_REFERENCE}/man
  COMMAND ods-sink completion bash > ${ODS_REFERENCE}/bash
  COMMAND ods-sink completion zsh > ${ODS_REFERENCE}/zsh
  COMMAND ods-sink completion fish > ${ODS_REFERENCE}/fish
  COMMAND ods-sink reference --man ${ODS_REFERENCE}/man
  DEPENDS ods-sink)
add_custom_target(reference ALL DEPENDS ${ODS_REFERENCE}/man/ods-sink.1)
install(DIRECTORY ${ODS_REFERENCE}/man/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${ODS_REFERENCE}/bash RENAME ods-sink
        DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${ODS_REFERENCE}/zsh RENAME _ods-sink
        DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${ODS_REFERENCE}/fish RENAME ods-sink.fish
        DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)

file(GLOB ODS_EXAMPLES CONFIGURE_DEPENDS config/*.example)
install(FILES ${ODS_EXAMPLES} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
# All pages, with what they show, as they lie to each other in the sources; an image is built without most of them.
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES README.md ARCHITECTURE.md SECURITY.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL)
install(FILES bench/README.md DESTINATION ${CMAKE_INSTALL_DOCDIR}/bench OPTIONAL)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} OPTIONAL FILES_MATCHING
        PATTERN "*.md" PATTERN "*.json" PATTERN "*.svg" PATTERN "*.webp")
install(DIRECTORY config/connectors config/observability config/kubernetes config/lake sql DESTINATION ${ODS_DATA_DIR})
# What pages call config/… and sql/… leads there, so that their links and commands hold.
install(CODE "
  set(prefix \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}\")
  set(pages \"\${prefix}/${CMAKE_INSTALL_DOCDIR}\")
  file(RELATIVE_PATH up \"\${pages}\" \"\${prefix}/${ODS_DATA_DIR}\")
  file(MAKE_DIRECTORY \"\${pages}/config\")
  file(CREATE_LINK \"\${up}/sql\" \"\${pages}/sql\" SYMBOLIC)
  foreach(folder connectors observability kubernetes lake)
    file(CREATE_LINK \"../\${up}/\${folder}\" \"\${pages}/config/\${folder}\" SYMBOLIC)
  endforeach()
")

# The unit names the binary by its whole path, which is known only now: --prefix may have changed it.
install(CODE "
  file(READ \"${CMAKE_CURRENT_SOURCE_DIR}/config/systemd/ods-sink.service\" unit)
  string(REPLACE \"/usr/bin/ods-sink\"
                 \"\${CMAKE_INSTALL_PREFIX}/${CMAKE_INSTALL_BINDIR}/ods-sink\" unit \"\${unit}\")
  file(WRITE \"${CMAKE_CURRENT_BINARY_DIR}/ods-sink.service\" \"\${unit}\")
")
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/ods-sink.service DESTINATION lib/systemd/system)
# The user that it runs as: systemd-sysusers makes it; a package does so by itself.
install(FILES config/systemd/sysusers.conf RENAME ods-sink.conf DESTINATION lib/sysusers.d)

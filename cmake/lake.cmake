# The lake engine (lake/, in Rust): libods_lake.so beside the program, which loads it when a target asks for
# it. scripts/lake-build keeps what was built in the user's cache. Without Rust everything else is built.
option(ODS_LAKE "build the lake engine, for targets of type delta and iceberg, where Rust is" ON)
if(ODS_LAKE)
  execute_process(COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/lake-build --check
                  RESULT_VARIABLE ODS_LAKE_MISSING ERROR_VARIABLE ODS_LAKE_WHY)
  if(ODS_LAKE_MISSING)
    string(STRIP "${ODS_LAKE_WHY}" ODS_LAKE_WHY)
    message(STATUS "${ODS_LAKE_WHY}")
  else()
    set(ODS_LAKE_LIBRARY ${CMAKE_CURRENT_BINARY_DIR}/libods_lake.so)
    file(GLOB_RECURSE ODS_LAKE_SOURCES CONFIGURE_DEPENDS lake/src/*.rs lake/src/*.sql)
    add_custom_command(
      OUTPUT ${ODS_LAKE_LIBRARY}
      COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/lake-build ${ODS_LAKE_LIBRARY}
      DEPENDS ${ODS_LAKE_SOURCES} lake/Cargo.toml lake/Cargo.lock
      COMMENT "Lake engine" USES_TERMINAL VERBATIM)
    add_custom_target(ods_lake ALL DEPENDS ${ODS_LAKE_LIBRARY})
    add_dependencies(programs ods_lake)
    install(FILES ${ODS_LAKE_LIBRARY} DESTINATION lib/ods-sink OPTIONAL)
    if(ODS_TESTS)
      add_test(NAME lake_engine COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/scripts/lake-build --test)
      set_tests_properties(lake_engine PROPERTIES TIMEOUT 1200 SKIP_RETURN_CODE 77)
    endif()
  endif()
endif()

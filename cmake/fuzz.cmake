# Fuzzers, for clang: each tests/fuzz/fuzz_<what>.c is a program of that name. Preset fuzz.
option(ODS_FUZZ "build the fuzzers (clang)" OFF)
if(ODS_FUZZ)
  file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
  add_custom_target(fuzzers)
  foreach(source ${FUZZ_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} EXCLUDE_FROM_ALL ${source})
    target_link_libraries(${name} PRIVATE ods_pipeline ods_source ods_sink ods_config ods_format ods_core
                                          ods_xml)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name})
  endforeach()
endif()

# Fuzzers, for clang: each tests/fuzz/fuzz_<what>.c is a program of that name. Preset fuzz.
# They name the rooms that they enter, for each is built once more, by clang and with every sanitizer: of pipeline/
# (which brings verify/, derived/ and quality/) only the file whose format fuzz_records reads.
option(ODS_FUZZ "build the fuzzers (clang)" OFF)
if(ODS_FUZZ)
  file(GLOB FUZZ_SOURCES CONFIGURE_DEPENDS tests/fuzz/fuzz_*.c)
  add_custom_target(fuzzers)
  foreach(source ${FUZZ_SOURCES})
    get_filename_component(name ${source} NAME_WE)
    add_executable(${name} EXCLUDE_FROM_ALL ${source})
    target_link_libraries(${name} PRIVATE ods_config ods_xml)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    add_dependencies(fuzzers ${name})
  endforeach()
  target_sources(fuzz_records PRIVATE src/pipeline/recording.c)
  # Two thirds of the files, of which the fuzzers enter few: without the optimiser they take clang 0.2 s each, not 0.5.
  target_compile_options(ods_sink PRIVATE -O0)
  target_compile_options(ods_source PRIVATE -O0)
endif()

# Turns a text file into a C string constant: cmake -DINPUT=… -DOUTPUT=… -DNAME=… [-DBARE=1] -P embed.cmake
# BARE: without the lines that are SQL comments, for statements that are sent again and again.
file(READ "${INPUT}" text)
if(BARE)
  string(REGEX REPLACE "(^|\n)--[^\n]*" "\\1" text "${text}")
  string(STRIP "${text}" text)
endif()
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
get_filename_component(source "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "/* Made from sql/${source}. */\nstatic const char ${NAME}[] =\n    \"${text}\";\n")

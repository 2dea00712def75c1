# Turns a text file into a C string constant: cmake -DINPUT=… -DOUTPUT=… -DNAME=… -P embed.cmake
file(READ "${INPUT}" text)
string(REPLACE "\\" "\\\\" text "${text}")
string(REPLACE "\"" "\\\"" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
get_filename_component(source "${INPUT}" NAME)
file(WRITE "${OUTPUT}" "/* Made from sql/${source}. */\nstatic const char ${NAME}[] =\n    \"${text}\";\n")

# Run by the build (cmake -P): writes OUTPUT, the C++ source that holds each Lua library of SOURCES
# (separated by '|') behind PRELUDE, as redis::EmbeddedLibraries().
string(REPLACE "|" ";" SOURCES "${SOURCES}")
file(READ ${PRELUDE} prelude)
set(text "// Generated from common/redis/lua; do not edit.\n#include \"common/redis/functions.h\"\n\n")
string(APPEND text "namespace fairlead::redis {\n\n")
string(APPEND text "const std::vector<FunctionLibrary>& EmbeddedLibraries() {\n")
string(APPEND text "  static const auto* libraries = new std::vector<FunctionLibrary>{\n")
foreach(source ${SOURCES})
  get_filename_component(name ${source} NAME_WE)
  file(READ ${source} body)
  # In pieces: compilers bound the length of one literal.
  string(APPEND text "      {\"${name}\",\n       std::string(R\"LUA(#!lua name=fairlead_${name}\n${prelude})LUA\")")
  string(APPEND text " + R\"LUA(${body})LUA\"},\n")
endforeach()
string(APPEND text "  };\n  return *libraries;\n}\n\n}  // namespace fairlead::redis\n")
file(WRITE ${OUTPUT} "${text}")

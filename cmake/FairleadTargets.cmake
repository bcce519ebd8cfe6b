# Warnings, sanitizers and the two helpers by which every folder declares its targets.

add_library(fairlead_options INTERFACE)
target_include_directories(fairlead_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(fairlead_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:Clang>:-Wthread-safety>
  $<$<BOOL:${FAIRLEAD_WERROR}>:-Werror>)
if(FAIRLEAD_SANITIZE)
  target_compile_options(fairlead_options INTERFACE -fsanitize=${FAIRLEAD_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(fairlead_options INTERFACE -fsanitize=${FAIRLEAD_SANITIZE})
  if(FAIRLEAD_SANITIZE STREQUAL thread)
    # protobuf's headers give map fields two members more under ThreadSanitizer, which Debian's library,
    # built without it, does not know of. libstdc++ alone is told: its headers are all there is of it.
    target_compile_options(fairlead_options INTERFACE -U__SANITIZE_THREAD__ -D_GLIBCXX_TSAN=1)
  endif()
endif()

# fairlead_library(NAME SOURCES… DEPS…): a static library of this project.
function(fairlead_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  target_link_libraries(${name} PUBLIC fairlead_options ${ARG_DEPS})
endfunction()

# fairlead_binary(NAME SOURCES… DEPS…): an installed program in build/<preset>/bin.
function(fairlead_binary name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE fairlead_options ${ARG_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# fairlead_precompile(NAME HEADERS…): reads headers that cost seconds a file (libtorch's, gRPC's) once a
# target. A file that must not see them says SKIP_PRECOMPILE_HEADERS. clang reads compile commands
# without these: `./dev check`.
option(FAIRLEAD_PRECOMPILE "Precompile the costliest headers" ON)
function(fairlead_precompile name)
  if(FAIRLEAD_PRECOMPILE)
    target_precompile_headers(${name} PRIVATE ${ARGN})
  endif()
endfunction()

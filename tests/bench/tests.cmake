# Each benchmark lists itself in <name>.bench.cmake and becomes bin/fairlead-bench-<name>.
file(GLOB FAIRLEAD_BENCHES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.bench.cmake)
foreach(bench ${FAIRLEAD_BENCHES})
  include(${bench})
endforeach()

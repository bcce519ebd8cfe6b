# Benchmarks: programs `fairlead-bench-NAME`, run by `./dev bench NAME`. One file each: NAME.bench.cmake.
file(GLOB FAIRLEAD_BENCHES CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.bench.cmake)
foreach(bench ${FAIRLEAD_BENCHES})
  include(${bench})
endforeach()

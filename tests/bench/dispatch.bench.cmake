add_executable(fairlead-bench-dispatch
  ${CMAKE_CURRENT_LIST_DIR}/dispatch_bench.cc ${CMAKE_CURRENT_LIST_DIR}/dispatch_crowd.cc
  ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
target_link_libraries(fairlead-bench-dispatch PRIVATE fairlead_options fairlead_decisions CLI11::CLI11
  nlohmann_json::nlohmann_json)

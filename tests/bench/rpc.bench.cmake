add_executable(fairlead-bench-rpc
  ${CMAKE_CURRENT_LIST_DIR}/rpc_bench.cc ${CMAKE_CURRENT_LIST_DIR}/rpc_arrivals.cc
  ${CMAKE_CURRENT_LIST_DIR}/rpc_crowd.cc
  ${CMAKE_CURRENT_LIST_DIR}/rpc_echo.cc ${CMAKE_CURRENT_LIST_DIR}/processes.cc
  ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
target_link_libraries(fairlead-bench-rpc PRIVATE fairlead_options fairlead_cluster fairlead_simulator
  CLI11::CLI11 nlohmann_json::nlohmann_json)
add_dependencies(fairlead-bench-rpc fairlead-scheduler)
target_compile_definitions(fairlead-bench-rpc PRIVATE
  FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")

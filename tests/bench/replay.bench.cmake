add_executable(fairlead-bench-replay 
  ${CMAKE_CURRENT_LIST_DIR}/replay_bench.cc ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
target_link_libraries(fairlead-bench-replay PRIVATE fairlead_options fairlead_crowd_files CLI11::CLI11
  nlohmann_json::nlohmann_json)
target_compile_definitions(fairlead-bench-replay PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

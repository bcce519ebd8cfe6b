add_executable(fairlead-bench-aggregate bench/aggregate_bench.cc)
target_link_libraries(fairlead-bench-aggregate PRIVATE fairlead_options fairlead_crowd_files CLI11::CLI11
  nlohmann_json::nlohmann_json)
target_compile_definitions(fairlead-bench-aggregate PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

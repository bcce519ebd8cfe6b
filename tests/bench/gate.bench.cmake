if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-gate
    ${CMAKE_CURRENT_LIST_DIR}/gate_bench.cc ${CMAKE_CURRENT_LIST_DIR}/gate_reward.cc
    ${CMAKE_CURRENT_LIST_DIR}/gate_reader.cc ${CMAKE_CURRENT_LIST_DIR}/preference_sets.cc
    ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
  target_link_libraries(fairlead-bench-gate PRIVATE fairlead_options fairlead_decisions
    fairlead_reward fairlead_training_files CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_compile_definitions(fairlead-bench-gate PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
endif()

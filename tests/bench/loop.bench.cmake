if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-loop
    ${CMAKE_CURRENT_LIST_DIR}/loop_bench.cc ${CMAKE_CURRENT_LIST_DIR}/loop_answers.cc
    ${CMAKE_CURRENT_LIST_DIR}/loop_dispatch.cc ${CMAKE_CURRENT_LIST_DIR}/loop_labels.cc
    ${CMAKE_CURRENT_LIST_DIR}/loop_order.cc ${CMAKE_CURRENT_LIST_DIR}/marks.cc
    ${CMAKE_CURRENT_LIST_DIR}/processes.cc)
  target_link_libraries(fairlead-bench-loop PRIVATE fairlead_options fairlead_demo fairlead_trainer
    fairlead_training_files CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_compile_definitions(fairlead-bench-loop PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}"
    FAIRLEAD_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
  add_dependencies(fairlead-bench-loop fairlead-scheduler fairlead-worker fairlead-trainer)
endif()

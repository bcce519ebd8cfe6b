if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-reward
    ${CMAKE_CURRENT_LIST_DIR}/reward_bench.cc ${CMAKE_CURRENT_LIST_DIR}/tfidf_baseline.cc
    ${CMAKE_CURRENT_LIST_DIR}/preference_sets.cc ${CMAKE_CURRENT_LIST_DIR}/marks.cc
    ${CMAKE_CURRENT_LIST_DIR}/processes.cc ${CMAKE_CURRENT_LIST_DIR}/reward_transformer.cc)
  target_link_libraries(fairlead-bench-reward PRIVATE fairlead_options fairlead_reward
    fairlead_training_files CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_compile_definitions(fairlead-bench-reward PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
endif()

if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-gpu
    ${CMAKE_CURRENT_LIST_DIR}/gpu_bench.cc ${CMAKE_CURRENT_LIST_DIR}/processes.cc
    ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
  target_link_libraries(fairlead-bench-gpu PRIVATE fairlead_options fairlead_trainer CLI11::CLI11
    nlohmann_json::nlohmann_json ${TORCH_LIBRARIES})
  target_compile_definitions(fairlead-bench-gpu PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
endif()

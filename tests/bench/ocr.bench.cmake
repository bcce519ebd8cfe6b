if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-ocr
    ${CMAKE_CURRENT_LIST_DIR}/ocr_bench.cc ${CMAKE_CURRENT_LIST_DIR}/ocr_speed.cc
    ${CMAKE_CURRENT_LIST_DIR}/processes.cc ${CMAKE_CURRENT_LIST_DIR}/marks.cc)
  target_link_libraries(fairlead-bench-ocr PRIVATE fairlead_options fairlead_trainer CLI11::CLI11
    nlohmann_json::nlohmann_json)
  target_compile_definitions(fairlead-bench-ocr PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
  add_dependencies(fairlead-bench-ocr fairlead-trainer)
endif()

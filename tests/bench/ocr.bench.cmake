if(FAIRLEAD_BUILD_TRAINER)
  add_executable(fairlead-bench-ocr bench/ocr_bench.cc)
  target_link_libraries(fairlead-bench-ocr PRIVATE fairlead_options fairlead_trainer CLI11::CLI11
    nlohmann_json::nlohmann_json)
  target_compile_definitions(fairlead-bench-ocr PRIVATE
    FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
  add_dependencies(fairlead-bench-ocr fairlead-trainer)
endif()

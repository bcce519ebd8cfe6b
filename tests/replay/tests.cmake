fairlead_test(replay_test
  SOURCES replay/replay_test.cc
  DEPS fairlead_crowd_files)
target_compile_definitions(replay_test PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

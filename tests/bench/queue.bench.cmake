add_executable(fairlead-bench-queue bench/queue_bench.cc bench/queue_lifecycle.cc
  bench/queue_peers.cc bench/queue_probes.cc bench/queue_run.cc)
target_link_libraries(fairlead-bench-queue PRIVATE fairlead_options fairlead_queue fairlead_test_support
  CLI11::CLI11)
target_compile_definitions(fairlead-bench-queue PRIVATE
  FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")

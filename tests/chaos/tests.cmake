# Random violence on real processes: one round in CI, more by ./dev chaos --minutes N --seed S.
fairlead_test(chaos_checker_test
  SOURCES chaos/actor_log.cc chaos/lane_checker.cc chaos/lane_checker_test.cc
  DEPS fairlead_base)
add_executable(chaos_actor
  chaos/actor_log.cc chaos/actor_main.cc chaos/producers.cc chaos/worker.cc)
target_link_libraries(chaos_actor PRIVATE fairlead_options fairlead_class_items fairlead_client
  fairlead_queue)
fairlead_test(chaos_test
  SOURCES chaos/actor_log.cc chaos/chaos_cluster.cc chaos/chaos_test.cc chaos/lane_checker.cc
    chaos/producers.cc
  DEPS fairlead_e2e_support fairlead_record_log fairlead_test_support
  LABEL e2e
  TIMEOUT 400)
target_compile_definitions(chaos_test PRIVATE FAIRLEAD_CHAOS_ACTOR="$<TARGET_FILE:chaos_actor>")
add_dependencies(chaos_test chaos_actor fairlead-scheduler)
add_test(NAME chaos_long_test COMMAND chaos_test)
set_tests_properties(chaos_long_test PROPERTIES LABELS long TIMEOUT 1200 RUN_SERIAL ON
  ENVIRONMENT "FAIRLEAD_CHAOS_MINUTES=5;FAIRLEAD_CHAOS_SEED=2")

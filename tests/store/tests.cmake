# The tasks' queues: one contract for the twin, Redis and a cluster node; what only Redis has.
add_library(fairlead_task_backend STATIC store/shard_check.cc store/task_backend.cc
  store/whole_way.cc)
target_link_libraries(fairlead_task_backend PUBLIC fairlead_options fairlead_store
  fairlead_test_support GTest::gtest)
fairlead_test(task_store_contract_test
  SOURCES store/retract_contract_test.cc store/slot_functions_test.cc
    store/task_places_contract_test.cc store/task_store_contract_test.cc
  DEPS fairlead_task_backend
  LABEL contract)
fairlead_test(task_retention_test
  SOURCES store/archiver_test.cc store/full_redis_test.cc
  DEPS fairlead_task_backend fairlead_loops
  LABEL contract)
fairlead_test(task_function_fuzz_test
  SOURCES store/function_fuzz_test.cc
  DEPS fairlead_task_backend
  LABEL contract)
fairlead_test(task_network_test
  SOURCES store/event_follower_test.cc store/network_test.cc
  DEPS fairlead_task_backend
  LABEL contract)
fairlead_test(task_soak_test
  SOURCES store/soak_test.cc
  DEPS fairlead_task_backend fairlead_loops
  LABEL long
  TIMEOUT 900)

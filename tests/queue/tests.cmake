# The machine lane: one contract for the twin, Redis and a cluster node; what only Redis has.
add_library(fairlead_lane_fixture STATIC queue/lane_audit.cc queue/lane_fixture.cc)
target_link_libraries(fairlead_lane_fixture PUBLIC fairlead_options fairlead_queue
  fairlead_test_support GTest::gtest)
fairlead_test(job_queue_contract_test
  SOURCES queue/job_flow_contract_test.cc queue/job_queue_contract_test.cc queue/known_defects_test.cc
    queue/redis_job_queue_test.cc
  DEPS fairlead_lane_fixture
  LABEL contract)
fairlead_test(lane_fuzz_test
  SOURCES queue/lane_fuzz_test.cc
  DEPS fairlead_lane_fixture
  LABEL contract)
fairlead_test(lane_soak_test
  SOURCES queue/lane_soak_test.cc
  DEPS fairlead_lane_fixture
  LABEL contract)
add_test(NAME lane_soak_long_test COMMAND lane_soak_test)
set_tests_properties(lane_soak_long_test PROPERTIES LABELS long TIMEOUT 1800 RUN_SERIAL ON
  ENVIRONMENT "FAIRLEAD_SOAK_JOBS=1000000")

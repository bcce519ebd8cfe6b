fairlead_test(job_queue_contract_test
  SOURCES queue/job_flow_contract_test.cc queue/job_queue_contract_test.cc queue/known_defects_test.cc
    queue/redis_job_queue_test.cc
  DEPS fairlead_queue fairlead_test_support
  LABEL contract)

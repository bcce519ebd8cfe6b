fairlead_test(work_hub_test
  SOURCES api/work_hub_test.cc
  DEPS fairlead_scheduler)

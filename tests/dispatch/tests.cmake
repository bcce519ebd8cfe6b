fairlead_test(dispatch_test
  SOURCES dispatch/assignment_test.cc dispatch/explanation_test.cc dispatch/free_index_test.cc
    dispatch/matching_test.cc support/free_crowd.cc
  DEPS fairlead_decisions)
fairlead_test(dispatcher_test
  SOURCES dispatch/dispatcher_test.cc dispatch/extra_offers_test.cc
  DEPS fairlead_loops)
fairlead_test(task_view_test
  SOURCES dispatch/task_view_test.cc
  DEPS fairlead_task_backend
  LABEL contract)

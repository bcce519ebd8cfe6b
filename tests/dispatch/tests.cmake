fairlead_test(dispatch_test
  SOURCES dispatch/explanation_test.cc dispatch/matching_test.cc
  DEPS fairlead_decisions)

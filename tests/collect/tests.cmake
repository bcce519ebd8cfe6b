fairlead_test(label_test
  SOURCES collect/label_test.cc
  DEPS fairlead_loops)

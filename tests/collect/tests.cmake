fairlead_test(label_test
  SOURCES collect/label_test.cc
  DEPS fairlead_loops)
fairlead_test(pay_folder_test
  SOURCES collect/pay_folder_test.cc
  DEPS fairlead_task_backend fairlead_loops
  LABEL contract)

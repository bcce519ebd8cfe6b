fairlead_test(learn_decisions_test
  SOURCES learn/adwin_test.cc learn/dataset_split_test.cc learn/evidence_test.cc learn/gate_test.cc
    learn/paired_gate_test.cc
  DEPS fairlead_decisions)
fairlead_test(learn_steps_test SOURCES learn/label_checks_test.cc learn/manifests_test.cc
    learn/prelabel_use_test.cc learn/registry_steps_test.cc learn/service_watch_test.cc DEPS fairlead_loops)

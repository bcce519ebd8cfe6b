# Seeded simulations of the tasks' queues and of the machine lane. A failing seed prints its history and how to replay it.
fairlead_test(task_simulation_test
  SOURCES sim/task_checks.cc sim/task_simulation.cc sim/task_simulation_test.cc
  DEPS fairlead_task_backend
  LABEL contract)
add_test(NAME task_simulation_long_test COMMAND task_simulation_test)
set_tests_properties(task_simulation_long_test PROPERTIES LABELS long TIMEOUT 900 RUN_SERIAL ON
  ENVIRONMENT "FAIRLEAD_SIM_SEEDS=10000;FAIRLEAD_SIM_PAIRS=1000")
fairlead_test(job_simulation_test
  SOURCES sim/checked_lane.cc sim/checked_lane_state.cc sim/job_simulation.cc sim/job_simulation_test.cc
  DEPS fairlead_lane_fixture
  LABEL contract)
add_test(NAME job_simulation_long_test COMMAND job_simulation_test)
set_tests_properties(job_simulation_long_test PROPERTIES LABELS long TIMEOUT 900 RUN_SERIAL ON
  ENVIRONMENT "FAIRLEAD_SIM_SEEDS=10000;FAIRLEAD_SIM_PAIRS=400")

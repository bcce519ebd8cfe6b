# The tool's pure parts, and its process tree with real processes.
fairlead_test(cli_test
  SOURCES cli/command_test.cc cli/demo_report_test.cc cli/error_model_test.cc cli/labels_test.cc
    cli/print_test.cc cli/submitter_test.cc cli/task_lines_test.cc cli/truth_test.cc
  DEPS fairlead_commands
  LABEL unit)
fairlead_test(supervisor_test
  SOURCES cli/supervisor_test.cc cli/cluster_test.cc
  DEPS fairlead_cluster
  LABEL contract)

fairlead_test(crowd_files_test SOURCES cli/aggregate_file_test.cc cli/replay_files_test.cc
  DEPS fairlead_crowd_files)

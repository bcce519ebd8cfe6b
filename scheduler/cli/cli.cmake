# The `fairlead` tool. No libtorch: train, predict, score and evaluate run the sibling binary.
# Client side only: depends on the API, never on the scheduler's own folders but for the pure
# decisions, which work on files as well (aggregate, replay).
fairlead_library(fairlead_small_files SOURCES cli/file.cc DEPS fairlead_base)

fairlead_library(fairlead_client
  SOURCES cli/client.cc cli/credentials.cc cli/print.cc cli/results_log.cc cli/submitter.cc
  DEPS fairlead_small_files fairlead_rpc fairlead_grpc gRPC::grpc++ nlohmann_json::nlohmann_json)

fairlead_library(fairlead_cluster
  SOURCES cli/cluster.cc cli/supervisor.cc
  DEPS fairlead_client)

fairlead_library(fairlead_task_files
  SOURCES cli/image_set.cc cli/labels.cc cli/task_lines.cc
  DEPS fairlead_client fairlead_image LibArchive::LibArchive)

fairlead_library(fairlead_simulator
  SOURCES cli/error_model.cc cli/simulated_contractor.cc cli/simulator.cc cli/timer_queue.cc
    cli/truth.cc cli/work_stream.cc
  DEPS fairlead_client fairlead_task_files absl::random_random absl::random_distributions)

fairlead_library(fairlead_demo
  SOURCES cli/demo_models.cc cli/demo_options.cc cli/demo_report.cc cli/demo_run.cc
    cli/project_flags.cc
  DEPS fairlead_cluster fairlead_simulator fairlead_generate fairlead_plot CLI11::CLI11)

# Files of crowd answers, and what is made of them without a server.
fairlead_library(fairlead_crowd_files
  SOURCES cli/aggregate_file.cc cli/crowd_table.cc cli/csv.cc cli/replay_files.cc
  DEPS fairlead_decisions fairlead_small_files)

fairlead_library(fairlead_commands
  SOURCES cli/aggregate.cc cli/command.cc cli/contractors.cc cli/dead.cc cli/demo.cc cli/doctor.cc
    cli/explain.cc cli/generate.cc cli/models.cc cli/project.cc cli/queues.cc cli/replay.cc
    cli/results.cc cli/simulate.cc cli/status.cc cli/submit.cc cli/task.cc cli/token.cc
    cli/trainer_exec.cc cli/up.cc
  DEPS fairlead_demo fairlead_crowd_files)

fairlead_binary(fairlead SOURCES cli/main.cc DEPS fairlead_commands)

# gRPC's headers and the stubs' cost seconds a file: read once a target. None of the project's own:
# a compiler cache shared by two checkouts would hand one the other's path, and #pragma once fails.
foreach(target fairlead_client fairlead_cluster fairlead_simulator fairlead_demo fairlead_commands)
  fairlead_precompile(${target} <grpcpp/grpcpp.h> <fairlead/v1/admin_service.grpc.pb.h>
    <fairlead/v1/blob_service.grpc.pb.h> <fairlead/v1/contractor_service.grpc.pb.h>
    <fairlead/v1/job_service.grpc.pb.h> <fairlead/v1/model_service.grpc.pb.h> <fairlead/v1/project_service.grpc.pb.h>
    <fairlead/v1/task_service.grpc.pb.h>)
endforeach()
fairlead_precompile(fairlead_commands <nlohmann/json.hpp>)

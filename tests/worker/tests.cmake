fairlead_test(blob_client_test
  SOURCES worker/blob_cache_test.cc worker/blob_server.cc worker/grpc_blob_client_test.cc
  DEPS fairlead_blob_client
  LABEL contract)

if(TARGET fairlead_agent)
  fairlead_test(agent_test
    SOURCES worker/agent_test.cc
    DEPS fairlead_agent)
endif()

if(TARGET fairlead-worker)
  fairlead_test(load_test_test
    SOURCES worker/image_shards_test.cc worker/load_test_test.cc
    DEPS fairlead_worker_jobs
    LABEL unit)
  target_compile_definitions(load_test_test
    PRIVATE FAIRLEAD_TRAINER_BINARY="$<TARGET_FILE:fairlead-trainer>")
  fairlead_test(worker_process_test
    SOURCES worker/blob_server.cc worker/worker_cluster.cc worker/worker_process_test.cc
    DEPS fairlead_blob fairlead_grpc fairlead_image fairlead_queue fairlead_test_support
    LABEL e2e
    TIMEOUT 300)
  target_compile_definitions(worker_process_test
    PRIVATE FAIRLEAD_WORKER_BINARY="$<TARGET_FILE:fairlead-worker>")
  add_dependencies(worker_process_test fairlead-worker)
endif()

fairlead_test(blob_client_test
  SOURCES worker/blob_cache_test.cc worker/blob_server.cc worker/grpc_blob_client_test.cc
  DEPS fairlead_blob_client
  LABEL contract)

if(TARGET fairlead_agent)
  fairlead_test(agent_test
    SOURCES worker/agent_test.cc
    DEPS fairlead_agent)
endif()

# Real processes: redis-server, fairlead-scheduler, fairlead-worker, killed with real signals.
add_library(fairlead_class_items STATIC e2e/class_items.cc)
target_link_libraries(fairlead_class_items PUBLIC fairlead_options fairlead_proto)
add_library(fairlead_e2e_support STATIC e2e/cluster_fixture.cc e2e/load.cc)
target_link_libraries(fairlead_e2e_support PUBLIC fairlead_options fairlead_class_items fairlead_cluster fairlead_simulator
  fairlead_image fairlead_queue fairlead_rpc fairlead_test_support GTest::gtest GTest::gmock)
target_compile_definitions(fairlead_e2e_support PRIVATE FAIRLEAD_BINARY_DIR="${CMAKE_RUNTIME_OUTPUT_DIRECTORY}")
foreach(test api archive assignment budget full_disk jobs kill project_rules qualification)
  fairlead_test(e2e_${test}_test SOURCES e2e/${test}_test.cc DEPS fairlead_e2e_support LABEL e2e TIMEOUT 300)
  add_dependencies(e2e_${test}_test fairlead-scheduler)
endforeach()
fairlead_test(e2e_model_loop_test SOURCES e2e/model_loop_test.cc
  DEPS fairlead_e2e_support fairlead_blob_client LABEL e2e TIMEOUT 300)
add_dependencies(e2e_model_loop_test fairlead-scheduler)
if(FAIRLEAD_BUILD_TRAINER)
  fairlead_test(e2e_label_check_test SOURCES e2e/label_check_test.cc
    DEPS fairlead_e2e_support fairlead_demo LABEL long TIMEOUT 1200)
  add_dependencies(e2e_label_check_test fairlead-scheduler fairlead-worker)
endif()

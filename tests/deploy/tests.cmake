# deploy/, read as kustomize would; no cluster and no kustomize needed.
find_package(yaml-cpp CONFIG REQUIRED)
fairlead_test(deploy_manifests_test
  SOURCES deploy/manifests.cc deploy/manifests_test.cc
  DEPS fairlead_base absl::strings $<IF:$<TARGET_EXISTS:yaml-cpp::yaml-cpp>,yaml-cpp::yaml-cpp,yaml-cpp>
  LABEL unit)
target_compile_definitions(deploy_manifests_test PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

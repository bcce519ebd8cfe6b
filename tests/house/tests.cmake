# The house rules, on made-up inputs and on the tree itself.
fairlead_test(house_rules_test
  SOURCES house/function_length.cc house/house_rules_test.cc house/mask.cc house/rules.cc
  DEPS absl::strings
  LABEL unit)
target_compile_definitions(house_rules_test PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

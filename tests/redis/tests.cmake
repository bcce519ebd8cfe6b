fairlead_test(redis_connection_test
  SOURCES redis/call_combiner_test.cc redis/connection_test.cc redis/functions_test.cc
  DEPS fairlead_redis fairlead_test_support
  LABEL contract)

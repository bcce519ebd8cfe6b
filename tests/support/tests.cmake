# What several areas' tests share: real servers and their clients.
fairlead_library(fairlead_test_support
  SOURCES support/redis_server.cc
  DEPS fairlead_redis)

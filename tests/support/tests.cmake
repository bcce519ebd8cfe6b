# What several areas' tests share: real servers and their clients.
fairlead_library(fairlead_test_support
  SOURCES support/fault_proxy.cc support/redis_server.cc support/reply_server.cc
    support/small_disk.cc support/strict_functions.cc support/unix_socket.cc
  DEPS fairlead_redis)

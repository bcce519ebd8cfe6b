# Random violence on real processes; not part of CI: ./dev chaos --minutes N --seed S.
fairlead_test(chaos_test SOURCES chaos/chaos_test.cc DEPS fairlead_e2e_support LABEL long TIMEOUT 3600)
add_dependencies(chaos_test fairlead-scheduler)

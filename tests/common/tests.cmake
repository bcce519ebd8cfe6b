fairlead_test(common_blob_store_test SOURCES common/blob_store_test.cc DEPS fairlead_blob LABEL unit)
fairlead_test(common_program_test SOURCES common/program_test.cc common/step_aside_test.cc DEPS fairlead_program LABEL unit)
fairlead_test(common_image_test SOURCES common/image_test.cc DEPS fairlead_image LABEL unit)
fairlead_test(common_record_log_test SOURCES common/record_log_test.cc
  DEPS fairlead_record_log fairlead_test_support LABEL unit)
fairlead_test(common_metrics_test SOURCES common/metrics_test.cc DEPS fairlead_metrics LABEL unit)
fairlead_test(common_svg_plot_test SOURCES common/svg_plot_test.cc DEPS fairlead_plot LABEL unit)
fairlead_test(common_generate_test SOURCES common/generate_test.cc DEPS fairlead_generate LABEL unit)

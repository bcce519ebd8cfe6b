fairlead_test(common_blob_store_test SOURCES common/blob_store_test.cc DEPS fairlead_blob LABEL unit)
fairlead_test(common_image_test SOURCES common/image_test.cc DEPS fairlead_image LABEL unit)
fairlead_test(common_record_log_test SOURCES common/record_log_test.cc DEPS fairlead_record_log LABEL unit)

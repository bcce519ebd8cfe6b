fairlead_test(quality_test
  SOURCES quality/aggregation_test.cc quality/batch_classes_test.cc quality/batch_texts_test.cc quality/crowd_test.cc quality/forecast_test.cc quality/judge_test.cc quality/qualification_test.cc quality/review_test.cc quality/score_test.cc
  DEPS fairlead_decisions)
target_compile_definitions(quality_test PRIVATE FAIRLEAD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
fairlead_test(calibration_book_test
  SOURCES quality/calibration_book_test.cc quality/qualification_book_test.cc quality/spend_book_test.cc
  DEPS fairlead_loops)

if(FAIRLEAD_BUILD_TRAINER)
  fairlead_test(trainer_files_test SOURCES trainer/tensor_file_test.cc trainer/philox_test.cc
    trainer/preference_file_test.cc trainer/reward_form_test.cc trainer/reward_losses_test.cc
    trainer/reward_test.cc
    DEPS fairlead_tensor_file fairlead_reward fairlead_training_files ZLIB::ZLIB LABEL unit)
  # Without libtorch, whose protobuf would meet SentencePiece's.
  fairlead_test(trainer_tokenizer_test SOURCES trainer/tokenizer_test.cc
    trainer/sentencepiece_reference.cc
    DEPS fairlead_judging PkgConfig::sentencepiece LABEL unit)
  add_dependencies(trainer_tokenizer_test fairlead-tokenizer)
  fairlead_test(trainer_readout_test SOURCES trainer/readout_test.cc DEPS fairlead_trainer LABEL unit)
  fairlead_test(trainer_report_test SOURCES trainer/report_test.cc DEPS fairlead_training_files
    LABEL unit)
  fairlead_test(trainer_net_test SOURCES trainer/net_test.cc DEPS fairlead_trainer ${TORCH_LIBRARIES}
    LABEL unit)
  fairlead_test(trainer_cuda_config_test SOURCES trainer/cuda_config_test.cc
    DEPS absl::strings LABEL unit)
  target_compile_definitions(trainer_cuda_config_test PRIVATE
    FAIRLEAD_CMAKE="${CMAKE_COMMAND}" FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
  fairlead_test(trainer_transformer_test SOURCES trainer/transformer_test.cc
    DEPS fairlead_transformer ${TORCH_LIBRARIES} LABEL unit)
  fairlead_test(trainer_reward_transformer_test SOURCES trainer/reward_transformer_test.cc
    DEPS fairlead_reward LABEL unit)
  fairlead_test(trainer_ocr_test SOURCES trainer/ocr_test.cc
    DEPS fairlead_trainer Freetype::Freetype LABEL e2e TIMEOUT 600)
  fairlead_test(trainer_label_check_test SOURCES trainer/label_check_test.cc
    DEPS fairlead_trainer Freetype::Freetype LABEL e2e TIMEOUT 600)
  fairlead_test(trainer_kills_test SOURCES trainer/kills_test.cc
    DEPS fairlead_tensor_file fairlead_image Freetype::Freetype LABEL long TIMEOUT 900)
  target_compile_definitions(trainer_kills_test PRIVATE
    FAIRLEAD_TRAINER_BINARY="$<TARGET_FILE:fairlead-trainer>")
  add_dependencies(trainer_kills_test fairlead-trainer)
endif()
if(TARGET trainer_files_test)
  target_compile_definitions(trainer_files_test PRIVATE FAIRLEAD_SOURCE_FOLDER="${PROJECT_SOURCE_DIR}")
endif()

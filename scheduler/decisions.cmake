# Pure decisions over snapshots: scoring, aggregation, redundancy, matching, gate, split, replay. No I/O, no
# clock, no gRPC. Contraction is off so that an explanation replays bit for bit on every processor.
fairlead_library(fairlead_decisions
  SOURCES
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/assignment.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/best_score_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/choice_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/default_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/fastest_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/fifo_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/least_loaded_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/qasca_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/random_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/choice/round_robin_policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/explanation.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/free_index.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/match_round.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/matching.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/policy.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/rank_bucket.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/standing.cc
    ${CMAKE_CURRENT_LIST_DIR}/dispatch/window_auction.cc
    ${CMAKE_CURRENT_LIST_DIR}/learn/dataset_split.cc
    ${CMAKE_CURRENT_LIST_DIR}/learn/adwin.cc
    ${CMAKE_CURRENT_LIST_DIR}/learn/evidence.cc
    ${CMAKE_CURRENT_LIST_DIR}/learn/gate.cc
    ${CMAKE_CURRENT_LIST_DIR}/learn/paired_gate.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/aggregation.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/answer.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/ballots.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/aggregate_classes.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/aggregate_ratings.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/aggregate_texts.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/calibration.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/class_models.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/confusion_em.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/held_out.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/label_matrix.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/one_coin_fit.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/rank_pairs.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/rover.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/batch/words.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/beta.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/consensus.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/edit_distance.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/forecast.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/one_coin.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/qualification.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/redundancy.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/review.cc
    ${CMAKE_CURRENT_LIST_DIR}/quality/score.cc
    ${CMAKE_CURRENT_LIST_DIR}/replay/online_crowd.cc
    ${CMAKE_CURRENT_LIST_DIR}/replay/replay.cc
  DEPS fairlead_base fairlead_proto absl::flat_hash_map absl::flat_hash_set absl::status absl::statusor
    absl::strings absl::str_format)
target_compile_options(fairlead_decisions PRIVATE -ffp-contract=off)

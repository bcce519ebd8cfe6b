# Generators of made-up tasks: for `fairlead generate`, the demo and the simulator.
fairlead_library(fairlead_generate
  SOURCES cli/generate_glyphs.cc cli/generate_ocr.cc cli/generate_pairs.cc
  DEPS fairlead_base fairlead_file fairlead_image Freetype::Freetype nlohmann_json::nlohmann_json)

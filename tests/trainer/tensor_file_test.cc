#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/philox.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/checkpoint/safetensors.h"

namespace fairlead::trainer {
namespace {

absl::string_view BytesOf(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::string SmallFile() {
  const std::vector<float> a = {1, 2, 3, 4, 5, 6};
  const std::vector<float> b = {7};
  return EncodeTensorFile({{"a", "F32", {2, 3}, BytesOf(a)}, {"b", "F32", {1}, BytesOf(b)}},
                          {{"format", "test"}, {"note", "ünïcode \"quoted\""}});
}

// A file with this header and body and no regard for checksums.
std::string Forge(const std::string& header, size_t body) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(header.size() >> (8 * i) & 0xFF));
  return bytes + header + std::string(body, '\0');
}

class TempFolder {
 public:
  TempFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fairlead_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(TensorFileTest, ReadsWhatItWrote) {
  const auto file = TensorFile::Parse(SmallFile());
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_NE(file->Find("a"), nullptr);
  EXPECT_EQ(file->Find("a")->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file->Find("a")->bytes, BytesOf({1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(*file->Metadata("note"), "ünïcode \"quoted\"");
  EXPECT_EQ(file->Find("c"), nullptr);
}

TEST(TensorFileTest, RefusesEveryTruncation) {
  const std::string whole = SmallFile();
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto file = TensorFile::Parse(whole.substr(0, length));
    EXPECT_EQ(file.status().code(), absl::StatusCode::kDataLoss) << length;
    EXPECT_FALSE(file.status().message().empty());
  }
  EXPECT_FALSE(TensorFile::Parse(whole + "x").ok());
}

TEST(TensorFileTest, RefusesEveryFlippedBit) {
  const std::string whole = SmallFile();
  for (size_t i = 0; i < whole.size() * 8; ++i) {
    std::string torn = whole;
    torn[i / 8] = static_cast<char>(torn[i / 8] ^ (1 << (i % 8)));
    EXPECT_FALSE(TensorFile::Parse(torn).ok()) << "bit " << i;
  }
}

TEST(TensorFileTest, RefusesHostileHeadersWithTheReason) {
  const struct {
    std::string header;
    size_t body;
    std::string reason;
  } kCases[] = {
      {"[]", 0, "not a JSON object"},
      {"{", 0, "not a JSON object"},
      {R"({"a":1})", 0, "not an object"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "duplicate key"},
      {R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", 4, "dtype is unknown"},
      {R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "not a count"},
      {R"({"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}})", 4,
       "too large"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "not its shape's"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 4, "outside the file"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}})", 8, "outside the file"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       8, "overlap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "gap"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 8, "follow the last"},
      {R"({"__metadata__":{"a":1}})", 0, "not a string"},
      {R"({"a":{"dtype":[[[[[[1]]]]]],"shape":[1],"data_offsets":[0,4]}})", 4, "too deeply"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4, "no checksum"},
  };
  for (const auto& one : kCases) {
    const auto file = TensorFile::Parse(Forge(one.header, one.body));
    ASSERT_FALSE(file.ok()) << one.header;
    EXPECT_NE(file.status().message().find(one.reason), absl::string_view::npos)
        << one.header << ": " << file.status();
  }
  EXPECT_FALSE(TensorFile::Parse(std::string(8, '\xff')).ok());
  EXPECT_FALSE(TensorFile::Parse(Forge(std::string(200000, '['), 0)).ok());
}

TEST(CheckpointTest, PassesOverTornAndForeignFilesAndKeepsTwo) {
  const TempFolder folder;
  const std::vector<float> values = {1, 2, 3};
  for (int step = 1; step <= 4; ++step) {
    ASSERT_TRUE(WriteCheckpoint(folder.path(), {"0123456789abcdef-mine", step, 0, "[]"},
                                {{"weights", "F32", {3}, BytesOf(values)}})
                    .ok());
  }
  ASSERT_TRUE(WriteCheckpoint(folder.path(), {"fedcba9876543210-other", 99, 0, "[]"},
                              {{"weights", "F32", {3}, BytesOf(values)}})
                  .ok());
  std::vector<std::string> mine;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
    if (entry.path().string().find("0123456789abcdef") != std::string::npos) {
      mine.push_back(entry.path().string());
    }
  }
  ASSERT_EQ(mine.size(), 2u);
  EXPECT_EQ(ReadNewestCheckpoint(folder.path(), "0123456789abcdef-mine")->checkpoint.step, 4);
  const std::string newest = std::max(mine[0], mine[1]);
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 1);
  EXPECT_EQ(ReadNewestCheckpoint(folder.path(), "0123456789abcdef-mine")->checkpoint.step, 3);
  EXPECT_FALSE(ReadNewestCheckpoint(folder.path(), "0123456789abcdef-else").has_value());
}

}  // namespace
}  // namespace fairlead::trainer

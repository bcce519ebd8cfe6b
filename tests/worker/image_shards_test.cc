// A dataset's images from the worker's disk are those of the blob store, whatever became of the
// files meanwhile.
#include "worker/image_shards.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/blob/memory_blob_store.h"
#include "common/image/resize.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/temp_directory.h"

namespace fairlead::worker {
namespace {

namespace fs = std::filesystem;

constexpr trainer::OcrInputSize kSize = {8, 24};
constexpr int kImages = 900;

class ImageShardsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < kImages; ++i) ids_.push_back(Store(i));
  }
  // A picture of its own size and content.
  std::string Store(int i) {
    GrayImage image{20 + i % 7, 10 + i % 3, {}};
    for (int p = 0; p < image.width * image.height; ++p) {
      image.pixels.push_back(static_cast<uint8_t>(StableHash64(absl::StrCat(i, "/", p))));
    }
    return *blobs_->Put("acme", *EncodePng(image));
  }
  std::vector<FetchedImage> Fetch(const std::vector<std::string>& ids,
                                  trainer::OcrInputSize size = kSize) {
    auto images = shards_.Fetch(*blobs_, "acme", ids, size, context_);
    EXPECT_TRUE(images.ok()) << images.status();
    return images.ok() ? *std::move(images) : std::vector<FetchedImage>();
  }
  void ExpectAsFetched(const std::vector<std::string>& ids, const std::vector<FetchedImage>& images,
                       trainer::OcrInputSize size = kSize) {
    const auto plain = FetchImages(*blobs_, "acme", ids, context_);
    ASSERT_TRUE(plain.ok()) << plain.status();
    ASSERT_EQ(images.size(), plain->size());
    for (size_t i = 0; i < images.size(); ++i) {
      ASSERT_EQ(images[i].usable, (*plain)[i].usable) << i;
      if (!images[i].usable) continue;
      const GrayImage wanted = ResizeGray((*plain)[i].image, size.height, size.width);
      ASSERT_EQ(images[i].image.width, size.width);
      ASSERT_EQ(images[i].image.height, size.height);
      ASSERT_EQ(images[i].image.pixels, wanted.pixels) << i;
    }
  }
  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(directory_.File("shards"))) {
      files.push_back(entry.path());
    }
    return files;
  }

  TempDirectory directory_;
  std::unique_ptr<BlobStore> blobs_ = NewMemoryBlobStore();
  ImageShards shards_{directory_.File("shards"), 100 << 20};
  JobContext context_;
  std::vector<std::string> ids_;
};

TEST_F(ImageShardsTest, GivesTheSameImagesTheSecondTimeWithoutTheBlobs) {
  ids_.push_back(*blobs_->Put("acme", "no image"));
  ExpectAsFetched(ids_, Fetch(ids_));
  EXPECT_EQ(shards_.found(), 0);
  const std::vector<FetchedImage> again = Fetch(ids_);
  EXPECT_EQ(shards_.found(), kImages + 1);
  ExpectAsFetched(ids_, again);
  EXPECT_FALSE(again.back().usable);
  std::unique_ptr<BlobStore> empty = NewMemoryBlobStore();
  EXPECT_TRUE(shards_.Fetch(*empty, "acme", ids_, kSize, context_).ok());
  EXPECT_TRUE(absl::IsNotFound(shards_.Fetch(*empty, "other", ids_, kSize, context_).status()))
      << "another tenant's";
}

TEST_F(ImageShardsTest, AnotherSizeHasShardsOfItsOwn) {
  Fetch(ids_);
  const trainer::OcrInputSize other = {24, 8};
  ExpectAsFetched(ids_, Fetch(ids_, other), other);
  EXPECT_EQ(shards_.found(), 0);
}

TEST_F(ImageShardsTest, AnItemMoreOrLessCostsTheShardThatItStandsIn) {
  Fetch(ids_);
  ASSERT_GE(Files().size(), 3u) << "too few cuts among the ids to tell";
  std::vector<std::string> changed = ids_;
  changed.erase(changed.begin() + 400);
  ExpectAsFetched(changed, Fetch(changed));
  const int64_t kept = shards_.found();
  EXPECT_GT(kept, 0);
  EXPECT_LT(kept, kImages - 1);
  changed.insert(changed.begin() + 10, Store(kImages));
  ExpectAsFetched(changed, Fetch(changed));
  EXPECT_GT(shards_.found(), 0);
}

TEST_F(ImageShardsTest, TornRottenAndExchangedFilesAreMadeAnew) {
  Fetch(ids_);
  const std::vector<fs::path> files = Files();
  ASSERT_GE(files.size(), 3u);
  fs::resize_file(files[0], fs::file_size(files[0]) / 2);
  std::string rotten = *ReadFile(files[1].string());
  rotten[rotten.size() / 2] = static_cast<char>(rotten[rotten.size() / 2] ^ 1);
  std::ofstream(files[1], std::ios::binary) << rotten;
  fs::copy_file(files[0], files[2], fs::copy_options::overwrite_existing);
  ExpectAsFetched(ids_, Fetch(ids_));
  EXPECT_LT(shards_.found(), kImages);
  Fetch(ids_);
  EXPECT_EQ(shards_.found(), kImages);
}

TEST_F(ImageShardsTest, KeepsToItsSizeAndGoesOnWithoutRoom) {
  ImageShards small(directory_.File("shards"), 10'000);
  ASSERT_TRUE(small.Fetch(*blobs_, "acme", ids_, kSize, context_).ok());
  int64_t bytes = 0;
  for (const fs::path& file : Files()) bytes += static_cast<int64_t>(fs::file_size(file));
  EXPECT_LE(bytes, 10'000);
  ImageShards none(directory_.File("shards"), 0);
  ExpectAsFetched(ids_, *none.Fetch(*blobs_, "acme", ids_, kSize, context_));
  EXPECT_TRUE(Files().empty());
}

TEST_F(ImageShardsTest, StopsWhenTheJobShall) {
  context_.Abort();
  EXPECT_TRUE(absl::IsAborted(shards_.Fetch(*blobs_, "acme", ids_, kSize, context_).status()));
}

}  // namespace
}  // namespace fairlead::worker

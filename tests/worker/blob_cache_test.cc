#include "common/blob/blob_cache.h"

#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/ids.h"

namespace fairlead {
namespace {

class BlobCacheTest : public ::testing::Test {
 protected:
  BlobCacheTest()
      : directory_(
            (std::filesystem::temp_directory_path() / absl::StrCat("fairlead-cache-", RandomHex(8)))
                .string()) {}
  ~BlobCacheTest() override { std::filesystem::remove_all(directory_); }
  static std::string Put(BlobCache& cache, const std::string& bytes) {
    const std::string id = Sha256Hex(bytes);
    cache.Put("acme", id, bytes);
    return id;
  }
  const std::string directory_;
};

TEST_F(BlobCacheTest, KeepsBytesAcrossLivesAndApartByTenant) {
  std::string id;
  {
    BlobCache cache(directory_, 1000);
    id = Put(cache, std::string("a\0b", 3));
  }
  BlobCache cache(directory_, 1000);
  EXPECT_EQ(cache.Get("acme", id), std::string("a\0b", 3));
  EXPECT_FALSE(cache.Get("other", id).has_value());
  EXPECT_EQ(cache.size_bytes(), 3);
}

TEST_F(BlobCacheTest, DropsTheLeastRecentlyUsed) {
  BlobCache cache(directory_, 25);
  const std::string a = Put(cache, std::string(10, 'a'));
  const std::string b = Put(cache, std::string(10, 'b'));
  EXPECT_TRUE(cache.Get("acme", a).has_value());
  const std::string c = Put(cache, std::string(10, 'c'));
  EXPECT_FALSE(cache.Get("acme", b).has_value());
  EXPECT_TRUE(cache.Get("acme", a).has_value());
  EXPECT_TRUE(cache.Get("acme", c).has_value());
  EXPECT_EQ(cache.size_bytes(), 20);
  Put(cache, std::string(26, 'd'));
  EXPECT_EQ(cache.size_bytes(), 20);
}

TEST_F(BlobCacheTest, DamagedEntryIsAMiss) {
  BlobCache cache(directory_, 1000);
  const std::string id = Put(cache, "right");
  std::ofstream(absl::StrCat(directory_, "/acme.", id)) << "wrong";
  EXPECT_FALSE(cache.Get("acme", id).has_value());
  EXPECT_EQ(cache.size_bytes(), 0);
  EXPECT_FALSE(std::filesystem::exists(absl::StrCat(directory_, "/acme.", id)));
}

TEST_F(BlobCacheTest, NamesCannotLeaveTheDirectory) {
  BlobCache cache(directory_, 1000);
  cache.Put("../up", Sha256Hex("x"), "x");
  cache.Put("acme", "../../etc", "x");
  EXPECT_EQ(cache.size_bytes(), 0);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

}  // namespace
}  // namespace fairlead

#include "common/blob/blob_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "common/blob/directory_blob_store.h"
#include "common/blob/memory_blob_store.h"
#include "tests/common/temp_directory.h"

namespace fairlead {
namespace {

const std::string kUnknown(64, 'a');

// What every BlobStore must do.
class BlobStoreContract : public testing::TestWithParam<bool> {
 protected:
  BlobStoreContract()
      : store_(GetParam() ? NewDirectoryBlobStore(directory_.File("blobs"))
                          : NewMemoryBlobStore()) {}

  TempDirectory directory_;
  std::unique_ptr<BlobStore> store_;
};

TEST_P(BlobStoreContract, ReturnsTheBytesUnderTheirSha256) {
  for (const std::string& bytes :
       {std::string(), std::string("abc"), std::string("\0\n\xFF", 3), std::string(1 << 20, 'x')}) {
    const auto id = store_->Put("acme", bytes);
    ASSERT_TRUE(id.ok()) << id.status();
    EXPECT_EQ(*id, Sha256Hex(bytes));
    const auto back = store_->Get("acme", *id);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, bytes);
    EXPECT_TRUE(store_->Has("acme", *id).value());
  }
}

TEST_P(BlobStoreContract, TakesTheSameBytesTwice) {
  const std::string first = store_->Put("acme", "same").value();
  EXPECT_EQ(store_->Put("acme", "same").value(), first);
  EXPECT_EQ(store_->Get("acme", first).value(), "same");
}

TEST_P(BlobStoreContract, ShowsNoTenantTheBlobsOfAnother) {
  const std::string id = store_->Put("acme", "secret").value();
  EXPECT_EQ(store_->Get("rival", id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(store_->Has("rival", id).value());
}

TEST_P(BlobStoreContract, SaysNotFound) {
  EXPECT_EQ(store_->Get("acme", kUnknown).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(store_->Get("acme", kUnknown).status()), "BLOB_NOT_FOUND");
  EXPECT_FALSE(store_->Has("acme", kUnknown).value());
}

TEST_P(BlobStoreContract, RefusesTenantsThatAreNoSlugs) {
  for (const char* tenant : {"", "..", "a/b", "../acme", ".tmp", "Acme", "a.b", "/etc"}) {
    EXPECT_EQ(ReasonOf(store_->Put(tenant, "x").status()), "BLOB_TENANT_INVALID") << tenant;
    EXPECT_EQ(ReasonOf(store_->Get(tenant, kUnknown).status()), "BLOB_TENANT_INVALID") << tenant;
    EXPECT_EQ(ReasonOf(store_->Has(tenant, kUnknown).status()), "BLOB_TENANT_INVALID") << tenant;
  }
}

TEST_P(BlobStoreContract, RefusesIdsThatAreNoLowerCaseHex) {
  const std::string traversal = "../../../../etc/passwd";
  for (const std::string& id :
       {std::string(), std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
        std::string(64, 'g'), traversal + std::string(64 - traversal.size(), '/')}) {
    EXPECT_EQ(ReasonOf(store_->Get("acme", id).status()), "BLOB_ID_INVALID") << id;
    EXPECT_EQ(ReasonOf(store_->Has("acme", id).status()), "BLOB_ID_INVALID") << id;
  }
}

TEST_P(BlobStoreContract, TakesManyWritersOfTheSameAndOfOtherBytes) {
  std::vector<std::thread> writers;
  for (int w = 0; w < 8; ++w) {
    writers.emplace_back([this, w] {
      for (int i = 0; i < 10; ++i) {
        const std::string bytes = "blob " + std::to_string(i * (w % 2 + 1));
        const auto id = store_->Put("acme", bytes);
        ASSERT_TRUE(id.ok()) << id.status();
        EXPECT_EQ(store_->Get("acme", *id).value(), bytes);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
}

INSTANTIATE_TEST_SUITE_P(Stores, BlobStoreContract, testing::Bool(),
                         [](const auto& store) { return store.param ? "Directory" : "Memory"; });

class DirectoryBlobStoreTest : public testing::Test {
 protected:
  std::string PathOf(const std::string& id) const {
    return directory_.File("acme/" + id.substr(0, 2) + "/" + id.substr(2));
  }

  TempDirectory directory_;
  std::unique_ptr<BlobStore> store_ = NewDirectoryBlobStore(directory_.path());
};

TEST_F(DirectoryBlobStoreTest, KeepsBlobsForTheNextProcess) {
  const std::string id = store_->Put("acme", "kept").value();
  EXPECT_EQ(NewDirectoryBlobStore(directory_.path())->Get("acme", id).value(), "kept");
  EXPECT_TRUE(std::filesystem::exists(PathOf(id)));
}

TEST_F(DirectoryBlobStoreTest, RefusesBytesThatNoLongerMatch) {
  const std::string id = store_->Put("acme", "pristine").value();
  std::ofstream(PathOf(id)) << "pristinE";
  const absl::Status status = store_->Get("acme", id).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), "BLOB_DAMAGED");
}

TEST_F(DirectoryBlobStoreTest, MendsADamagedBlobWhenItIsPutAgain) {
  const std::string id = store_->Put("acme", "pristine").value();
  std::ofstream(PathOf(id)) << "torn";
  ASSERT_EQ(store_->Put("acme", "pristine").value(), id);
  EXPECT_EQ(store_->Get("acme", id).value(), "pristine");
}

TEST_F(DirectoryBlobStoreTest, LeavesNoTemporaryFileBehind) {
  ASSERT_TRUE(store_->Put("acme", "one").ok());
  EXPECT_TRUE(std::filesystem::is_empty(directory_.File(".tmp")));
}

TEST_F(DirectoryBlobStoreTest, ReportsARootThatIsNoDirectory) {
  std::ofstream(directory_.File("file")) << "x";
  EXPECT_FALSE(NewDirectoryBlobStore(directory_.File("file"))->Put("acme", "x").ok());
}

}  // namespace
}  // namespace fairlead

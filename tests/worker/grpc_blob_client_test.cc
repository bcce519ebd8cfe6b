#include "common/rpc/grpc_blob_client.h"

#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "tests/worker/blob_server.h"

namespace fairlead {
namespace {

class GrpcBlobClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ =
        (std::filesystem::temp_directory_path() / absl::StrCat("fairlead-blobs-", RandomHex(8)))
            .string();
    std::filesystem::create_directories(directory_);
    server_ = std::make_unique<testing::BlobServer>(directory_ + "/grpc.sock", "secret");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  void Connect(const std::string& token = "secret", bool cache = true) {
    GrpcBlobClientOptions options;
    options.target = server_->target();
    options.token = token;
    options.attempts = 3;
    if (cache) options.cache_directory = directory_ + "/cache";
    client_ = std::move(GrpcBlobClient::Create(options)).value();
    blobs_ = client_->ForJob("train/1");
  }

  std::string directory_;
  std::unique_ptr<testing::BlobServer> server_;
  std::unique_ptr<GrpcBlobClient> client_;
  std::unique_ptr<BlobStore> blobs_;
};

TEST_F(GrpcBlobClientTest, MovesBlobsOfSeveralChunksBothWays) {
  Connect("secret", /*cache=*/false);
  std::string bytes(700'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 31);
  const absl::StatusOr<std::string> id = blobs_->Put("acme", bytes);
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*id, Sha256Hex(bytes));
  EXPECT_EQ(*server_->blobs().Get("acme", *id), bytes);
  EXPECT_EQ(*blobs_->Get("acme", *id), bytes);
  EXPECT_TRUE(*blobs_->Has("acme", *id));
  EXPECT_FALSE(*blobs_->Has("acme", Sha256Hex("other")));
}

TEST_F(GrpcBlobClientTest, EmptyBlobIsABlob) {
  Connect("secret", /*cache=*/false);
  const absl::StatusOr<std::string> id = blobs_->Put("acme", "");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(*blobs_->Get("acme", *id), "");
}

TEST_F(GrpcBlobClientTest, SecondGetComesFromTheCache) {
  Connect();
  const std::string id = *server_->blobs().Put("acme", "image");
  EXPECT_EQ(*blobs_->Get("acme", id), "image");
  const int calls = server_->calls();
  EXPECT_EQ(*blobs_->Get("acme", id), "image");
  EXPECT_EQ(server_->calls(), calls);
  EXPECT_EQ(blobs_->Get("other", id).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(GrpcBlobClientTest, RepeatsWhatWasUnavailableAFewTimes) {
  Connect();
  const std::string id = *server_->blobs().Put("acme", "image");
  server_->FailNext(2);
  EXPECT_EQ(*blobs_->Get("acme", id), "image");
  server_->FailNext(3);
  EXPECT_EQ(blobs_->Put("acme", "model").status().code(), absl::StatusCode::kUnavailable);
  server_->FailNext(1);
  EXPECT_TRUE(blobs_->Put("acme", "model").ok());
}

TEST_F(GrpcBlobClientTest, OtherErrorsAreNotRepeated) {
  Connect("wrong");
  const std::string id = *server_->blobs().Put("acme", "image");
  EXPECT_EQ(blobs_->Get("acme", id).status().code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(server_->calls(), 1);
  EXPECT_EQ(blobs_->Get("acme", "../etc/passwd").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(server_->calls(), 1);
}

TEST_F(GrpcBlobClientTest, OtherBytesThanTheIdSaysAreDataLoss) {
  Connect();
  const std::string id = *server_->blobs().Put("acme", "image");
  server_->Corrupt(true);
  EXPECT_EQ(blobs_->Get("acme", id).status().code(), absl::StatusCode::kDataLoss);
  server_->Corrupt(false);
  EXPECT_EQ(*blobs_->Get("acme", id), "image");
}

TEST(GrpcBlobClientOptionsTest, NeedsATarget) {
  EXPECT_EQ(GrpcBlobClient::Create({}).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace fairlead

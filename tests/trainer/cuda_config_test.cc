// Which libtorch -DFAIRLEAD_CUDA=ON takes, told by folders laid out as libtorch is published.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

struct Published {
  std::string version = "2.5.1";
  bool cuda = true;
  bool old_abi = false;
};

class CudaConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "cuda_config";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    Write("choose.cmake", "include(" FAIRLEAD_SOURCE_FOLDER
                          "/cmake/FairleadCuda.cmake)\n"
                          "fairlead_choose_cuda_torch(dir)\nmessage(\"chosen ${dir}.\")\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) {
    fs::create_directories(fs::path(folder_ + "/" + name).parent_path());
    std::ofstream(folder_ + "/" + name) << text;
  }

  // A prefix as the zip archives and python's torch have it.
  std::string Publish(const std::string& name, const Published& torch) {
    const std::string config = name + "/share/cmake/Torch/";
    Write(config + "TorchConfigVersion.cmake",
          absl::StrCat("set(PACKAGE_VERSION \"", torch.version, "\")\n"));
    Write(config + "TorchConfig.cmake", absl::StrCat("set(TORCH_CXX_FLAGS \"-D_GLIBCXX_USE_CXX11_",
                                                     "ABI=", torch.old_abi ? 0 : 1, "\")\n"));
    Write(name + "/lib/libtorch.so", "");
    if (torch.cuda) Write(name + "/lib/libtorch_cuda.so", "");
    return folder_ + "/" + name;
  }

  // What the configuration says with this prefix path and this python's answer to where torch is.
  std::string Choose(const std::string& prefixes, const std::string& python_prefix) {
    const std::string python = folder_ + "/python3";
    Write("python3", absl::StrCat("#!/bin/sh\necho '", python_prefix, "'\n"));
    fs::permissions(python, fs::perms::owner_all);
    const std::string command = absl::StrCat(
        "env -u CMAKE_PREFIX_PATH " FAIRLEAD_CMAKE " -DFAIRLEAD_NVCC=/bin/true -DFAIRLEAD_PYTHON=",
        python, " -DCMAKE_PREFIX_PATH='", prefixes, "' -P ", folder_, "/choose.cmake 2>&1");
    FILE* const pipe = popen(command.c_str(), "r");
    std::string said;
    for (char buffer[512]; fgets(buffer, sizeof(buffer), pipe) != nullptr;) said += buffer;
    pclose(pipe);
    for (size_t at; (at = said.find("\n  ")) != std::string::npos;) said.replace(at, 3, " ");
    return said;
  }

  std::string folder_;
};

TEST_F(CudaConfigTest, TakesTheNamedLibtorchBeforePythons) {
  const std::string named = Publish("named", {});
  const std::string python = Publish("python", {}) + "/share/cmake";
  EXPECT_THAT(Choose(named, python), HasSubstr("chosen " + named + "/share/cmake/Torch."));
  EXPECT_THAT(Choose("", python), HasSubstr("chosen " + python + "/Torch."));
  // torch.utils.cmake_prefix_path may itself be named.
  EXPECT_THAT(Choose(python, ""), HasSubstr("chosen " + python + "/Torch."));
}

TEST_F(CudaConfigTest, PassesOverWhatWillNotDo) {
  const std::string cpu = Publish("cpu", {.cuda = false});
  const std::string good = Publish("good", {.version = "2.0.0"});
  EXPECT_THAT(Choose(cpu + ";" + good, ""), HasSubstr("chosen " + good + "/"));
}

TEST_F(CudaConfigTest, SaysWhatIsWrongWithEach) {
  const std::string old_one = Publish("old", {.version = "1.13.1"});
  const std::string cpu = Publish("cpu", {.cuda = false});
  const std::string abi = Publish("abi", {.old_abi = true});
  const std::string said = Choose(absl::StrCat(old_one, ";", cpu, ";", abi), "/nowhere");
  EXPECT_THAT(said, HasSubstr("CMake Error"));
  EXPECT_THAT(said, HasSubstr("version 1.13.1, older than 2.0"));
  EXPECT_THAT(said, HasSubstr("no libtorch_cuda.so"));
  EXPECT_THAT(said, HasSubstr("old ABI"));
  EXPECT_THAT(Choose("", "/nowhere"), HasSubstr("names no libtorch"));
}

}  // namespace
}  // namespace fairlead::trainer

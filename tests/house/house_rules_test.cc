// Walks the source tree and fails at every line that breaks a house rule; before that, each rule is
// tried on inputs that break it and on inputs that nearly do.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/house/rules.h"

namespace fairlead::house {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Repeat(const std::string& line, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += line;
  return text;
}

std::vector<int> LinesOf(const std::vector<Finding>& findings) {
  std::vector<int> lines;
  for (const Finding& finding : findings) lines.push_back(finding.line);
  return lines;
}

std::vector<Finding> IncludesOf(const std::string& path, const std::string& header) {
  return CheckIncludes({path, absl::StrCat("#include \"", header, "\"\n")});
}

TEST(MaskCodeTest, BlanksCommentsLiteralsAndDirectivesInPlace) {
  EXPECT_EQ(MaskCode("a // {\nb"), "a     \nb");
  EXPECT_EQ(MaskCode("a /* {\n} */ b"), "a     \n     b");
  EXPECT_EQ(MaskCode("f(\"{\\\"{\", '{');"), "f(\"    \", ' ');");
  EXPECT_EQ(MaskCode("#define X {\\\n{\ny"), "            \n \ny");
  EXPECT_EQ(MaskCode("n = 1'000; {"), "n = 1'000; {");
}

TEST(MaskCodeTest, BlanksRawStringsUpToTheirOwnEnd) {
  const std::string masked = MaskCode("x = R\"lua({ \" )\" } )lua\"; {");
  EXPECT_EQ(std::count(masked.begin(), masked.end(), '{'), 1);
  EXPECT_THAT(masked, HasSubstr("; {"));
}

TEST(FileLengthTest, RefusesTheLineAfterTheLast) {
  const std::string line = "int x;\n";
  EXPECT_THAT(CheckFileLength({"common/a.h", Repeat(line, kHeaderLines)}), IsEmpty());
  EXPECT_THAT(CheckFileLength({"common/a.h", Repeat(line, kHeaderLines + 1)}), SizeIs(1));
  EXPECT_THAT(CheckFileLength({"common/a.cc", Repeat(line, kImplementationLines)}), IsEmpty());
  EXPECT_THAT(CheckFileLength({"common/a.cc", Repeat(line, kImplementationLines + 1)}), SizeIs(1));
}

// A function whose braces are `lines` lines apart, both counted.
std::string Function(const std::string& head, int lines) {
  return absl::StrCat(head, " {\n", Repeat("  if (x) { y(); }\n", lines - 2), "}\n");
}

TEST(FunctionLengthTest, RefusesALongFunctionWhereverItStands) {
  const std::vector<std::string> heads = {
      "int F(int a)",
      "TEST(Suite, Case)",
      "absl::StatusOr<int> Foo::Bar(const std::vector<int>& v = {1, 2}) const",
      "Foo::Foo(int a) : a_{a}, b_(2)",
      "bool operator==(const A& a, const A& b)",
      "template <typename T>\nauto F(T t) -> decltype(t)",
      "void F() ABSL_LOCKS_EXCLUDED(mu_)",
      "const auto kFunction = [](int a)"};
  for (const std::string& head : heads) {
    EXPECT_THAT(CheckFunctionLength({"a.cc", Function(head, kFunctionLines)}), IsEmpty()) << head;
    EXPECT_THAT(CheckFunctionLength({"a.cc", Function(head, kFunctionLines + 1)}), SizeIs(1))
        << head;
    const std::string nested =
        "namespace a {\nclass B : public C<D> {\n" + Function(head, kFunctionLines + 1) + "};\n}\n";
    EXPECT_THAT(CheckFunctionLength({"a.cc", nested}), SizeIs(1)) << head;
  }
}

TEST(FunctionLengthTest, NamesTheFunctionAndItsLine) {
  const auto findings =
      CheckFunctionLength({"a.cc", "\n\n" + Function("int Foo::Bar(int x)", kFunctionLines + 5)});
  ASSERT_THAT(LinesOf(findings), ElementsAre(3));
  EXPECT_THAT(findings[0].what, HasSubstr("Foo::Bar has 75 lines"));
}

TEST(FunctionLengthTest, LetsLongScopesAndTablesBe) {
  const std::string body = Repeat("  int x;\n", 2 * kFunctionLines);
  for (const std::string head : {"namespace fairlead", "class Foo", "struct Foo : Bar",
                                 "enum class E", "class ABSL_LOCKABLE Mutex", "extern \"C\""}) {
    EXPECT_THAT(CheckFunctionLength({"a.cc", head + " {\n" + body + "}\n"}), IsEmpty()) << head;
  }
  const std::string rows = Repeat("  {1, F(2)},\n", 2 * kFunctionLines);
  EXPECT_THAT(CheckFunctionLength({"a.cc", "const int kTable[] = {\n" + rows + "};\n"}), IsEmpty());
  EXPECT_THAT(CheckFunctionLength({"a.cc", "const auto kT = Make({\n" + rows + "});\n"}),
              IsEmpty());
}

TEST(FunctionLengthTest, SeesTheFunctionAfterAnInitialiser) {
  const std::string text = "int a_{3};\nstd::vector<int> b = {1};\n" + Function("int F()", 80);
  EXPECT_THAT(LinesOf(CheckFunctionLength({"a.cc", text})), ElementsAre(3));
}

TEST(IncludesTest, HoldsTheDependencyRuleBetweenFolders) {
  EXPECT_THAT(IncludesOf("scheduler/store/store.h", "common/base/ids.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("worker/agent.cc", "trainer/train.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("common/a.cc", "fairlead/store/v1/records.pb.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("tests/worker/a_test.cc", "scheduler/store/store.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("common/a.cc", "scheduler/store/store.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/a.cc", "trainer/train.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/a.cc", "worker/agent.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("worker/a.cc", "scheduler/store/store.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("worker/a.cc", "trainer/nn/nfnet.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("trainer/a.cc", "worker/agent.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("trainer/a.cc", "scheduler/learn/registry.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/a.cc", "tests/support/cluster.h"), SizeIs(1));
}

TEST(IncludesTest, KeepsThirdPartiesBehindTheirFences) {
  EXPECT_THAT(IncludesOf("trainer/nn/nfnet.h", "torch/torch.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("trainer/train.h", "torch/torch.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("worker/agent.cc", "torch/torch.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/a.cc", "ATen/ATen.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("common/redis/connection.cc", "hiredis/hiredis.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("common/redis/connection.h", "hiredis/hiredis.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/api/task_service.cc", "grpcpp/grpcpp.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("scheduler/server.cc", "grpcpp/server_builder.h"), IsEmpty());
  EXPECT_THAT(IncludesOf("common/rpc/blob_client.h", "fairlead/v1/blob_service.grpc.pb.h"),
              IsEmpty());
  EXPECT_THAT(IncludesOf("worker/agent.cc", "fairlead/v1/blob_service.grpc.pb.h"), SizeIs(1));
  EXPECT_THAT(IncludesOf("scheduler/dispatch/matching.cc", "grpcpp/grpcpp.h"), SizeIs(1));
}

TEST(NamesTest, RefusesWordsThatSayNothing) {
  EXPECT_THAT(CheckNames({"common/blob/blob_manager.h", ""}), SizeIs(1));
  EXPECT_THAT(CheckNames({"tests/support/test_utils.cc", ""}), SizeIs(1));
  EXPECT_THAT(CheckNames({"scheduler/task_info.h", ""}), SizeIs(1));
  EXPECT_THAT(CheckNames({"a.h", "class ABSL_LOCKABLE QueueManager {\n"}), SizeIs(1));
  EXPECT_THAT(CheckNames({"a.h", "struct TaskData {\n"}), SizeIs(1));
  EXPECT_THAT(CheckNames({"a.h", "enum class UtilKind {\n"}), SizeIs(1));
  EXPECT_THAT(CheckNames({"a.h", "using TaskInfo = int;\n"}), SizeIs(1));
  EXPECT_THAT(CheckNames({"a.proto", "message TaskInfo {\n"}), SizeIs(1));
}

TEST(NamesTest, LetsOtherUsesOfTheWordsBe) {
  EXPECT_THAT(CheckNames({"a.h", "struct DataSnapshot {\nclass Utility {\nclass Dataset {\n"}),
              IsEmpty());
  EXPECT_THAT(CheckNames({"a.proto", "message ErrorInfo {\nmessage RetryInfo {\n"}), IsEmpty());
  EXPECT_THAT(CheckNames({"a.h", "// class QueueManager\n"}), IsEmpty());
}

TEST(SleepTest, RefusesSleepingInTestsOnly) {
  const std::string text = "std::this_thread::sleep_for(x);\nusleep(3);\nabsl::SleepFor(y);\n";
  EXPECT_THAT(LinesOf(CheckTestSleeps({"tests/e2e/a_test.cc", text})), ElementsAre(1, 2, 3));
  EXPECT_THAT(CheckTestSleeps({"tests/support/poll.cc", text}), IsEmpty());
  EXPECT_THAT(CheckTestSleeps({"tests/bench/arrivals.cc", text}), IsEmpty());
  EXPECT_THAT(CheckTestSleeps({"worker/agent.cc", text}), IsEmpty());
}

TEST(TextRulesTest, FindTheirLines) {
  EXPECT_THAT(LinesOf(CheckStringView({"a.h", "\nvoid F(std::string_view s);\n"})), ElementsAre(2));
  EXPECT_THAT(CheckStringView({"a.cc", "std::string_view s;\n"}), IsEmpty());
  EXPECT_THAT(LinesOf(CheckAbsolutePaths({"a.cc", absl::StrCat("x\nf(\"/ho", "me/me\");\n")})),
              ElementsAre(2));
  EXPECT_THAT(CheckAbsolutePaths({"a.cc", "f(\"/tmp/x\"); // net/home/y\n"}), IsEmpty());
  const std::string todo = absl::StrCat("TO", "DO");
  EXPECT_THAT(CheckTodos({"a.cc", "// " + todo + ": later\n"}), SizeIs(1));
  EXPECT_THAT(CheckTodos({"a.cc", "// " + todo + "(me): later\n"}), SizeIs(1));
  EXPECT_THAT(CheckTodos({"a.cc", "// " + todo + "(issue-12): later\n"}), IsEmpty());
  EXPECT_THAT(CheckPragmaOnce({"a.h", "#ifndef A\n"}), SizeIs(1));
  EXPECT_THAT(CheckPragmaOnce({"a.h", "// A.\n#pragma once\n"}), IsEmpty());
  EXPECT_THAT(LinesOf(CheckWhitespace({"a.lua", "a\r\nb\n\tc\n"})), ElementsAre(1, 3));
}

TEST(CheckFileTest, RunsEveryRule) {
  const std::string text =
      absl::StrCat("class FooManager {};\nstd::string_view s;\t\n#include \"tests/a.h\"\n", "// TO",
                   "DO\n// /ho", "me/me\n", Function("int F()", 300));
  std::set<std::string> what;
  for (const Finding& finding : CheckFile({"common/a.h", text})) what.insert(finding.what);
  EXPECT_THAT(what, SizeIs(9)) << "one finding a rule that concerns headers outside tests/";
}

// What is ours to read in the tree: sources and texts, not images, records or build output.
bool IsSource(const fs::path& path) {
  static const std::set<std::string> kExtensions = {".cc", ".h",     ".cu", ".proto", ".lua",
                                                    ".md", ".cmake", ".sh", ".yaml",  ".txt"};
  return kExtensions.count(path.extension().string()) > 0 || path.extension() == ".Dockerfile";
}

std::vector<SourceFile> ReadTree(const fs::path& root) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_regular_file() && (IsSource(entry.path()) || entry.path().filename() == "dev")) {
      paths.push_back(entry.path());
    }
  }
  for (const char* folder :
       {"cmake", "common", "deploy", "proto", "scheduler", "tests", "trainer", "worker"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / folder)) {
      if (entry.is_regular_file() && IsSource(entry.path())) paths.push_back(entry.path());
    }
  }
  std::sort(paths.begin(), paths.end());
  std::vector<SourceFile> files;
  for (const fs::path& path : paths) {
    std::ifstream in(path, std::ios::binary);
    files.push_back({fs::relative(path, root).generic_string(),
                     std::string(std::istreambuf_iterator<char>(in), {})});
  }
  return files;
}

TEST(HouseRulesTest, TheTreeKeepsThem) {
  const std::vector<SourceFile> files = ReadTree(FAIRLEAD_SOURCE_DIR);
  ASSERT_GT(files.size(), 20U) << "the tree was not found at " << FAIRLEAD_SOURCE_DIR;
  for (const SourceFile& file : files) {
    for (const Finding& finding : CheckFile(file)) {
      ADD_FAILURE() << finding.path << ":" << finding.line << ": " << finding.what;
    }
  }
}

}  // namespace
}  // namespace fairlead::house

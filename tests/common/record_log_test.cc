#include "common/record_log/record_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/base/status.h"
#include "tests/common/temp_directory.h"
#include "tests/support/small_disk.h"

namespace fairlead {
namespace {

using Records = std::vector<std::pair<int64_t, std::string>>;

class RecordLogTest : public ::testing::Test {
 protected:
  RecordLogTest() {
    options_.directory = directory_.File("log");
    options_.segment_bytes = 1000;
  }

  std::unique_ptr<RecordLog> MustOpen() {
    auto log = RecordLog::Open(options_);
    EXPECT_TRUE(log.ok()) << log.status();
    return log.ok() ? *std::move(log) : nullptr;
  }

  static Records ReadFrom(RecordLog& log, int64_t from) {
    Records records;
    EXPECT_TRUE(log.Read(from,
                         [&](int64_t position, absl::string_view record) {
                           records.emplace_back(position, std::string(record));
                           return absl::OkStatus();
                         })
                    .ok());
    return records;
  }

  // Appends `count` records of growing length and syncs.
  static Records Fill(RecordLog& log, int count) {
    Records records;
    for (int i = 0; i < count; ++i) {
      const std::string record = absl::StrCat("record ", i, " ", std::string(i % 97, 'x'));
      records.emplace_back(log.Append(record).value(), record);
    }
    EXPECT_TRUE(log.Sync().ok());
    return records;
  }

  std::vector<std::string> Segments() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options_.directory)) {
      if (entry.path().extension() == ".log") names.insert(entry.path().string());
    }
    return {names.begin(), names.end()};
  }

  static void Overwrite(const std::string& path, const std::string& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }

  TempDirectory directory_;
  RecordLogOptions options_;
};

TEST_F(RecordLogTest, ReadsBackWhatWasAppendedOverManySegmentsAndOpenings) {
  auto log = MustOpen();
  Records records = Fill(*log, 300);
  EXPECT_EQ(ReadFrom(*log, 0), records);
  EXPECT_GT(Segments().size(), 10u);
  log.reset();

  log = MustOpen();
  EXPECT_EQ(log->CutBytes(), 0);
  EXPECT_EQ(ReadFrom(*log, 0), records);
  const std::string more = "after the restart";
  records.emplace_back(log->Append(more).value(), more);
  EXPECT_EQ(ReadFrom(*log, 0), records);
  for (const auto& [position, record] : records) {
    EXPECT_EQ(log->ReadAt(position).value(), record);
    EXPECT_EQ(ReadFrom(*log, position).front().second, record);
  }
}

TEST_F(RecordLogTest, PositionsCountTheBytesBefore) {
  auto log = MustOpen();
  EXPECT_EQ(log->Append("abc").value(), 0);
  EXPECT_EQ(log->Append("de").value(), 11);
  EXPECT_EQ(log->End(), 21);
  EXPECT_EQ(ReadFrom(*log, 1).front().first, 11);
  EXPECT_TRUE(ReadFrom(*log, 12).empty());
}

TEST_F(RecordLogTest, FindsRecordsOnlyWhereTheyBegin) {
  options_.segment_bytes = 1 << 20;
  auto log = MustOpen();
  const int64_t second = (log->Append(std::string(100000, 'a')).value(), log->Append("b").value());
  EXPECT_EQ(log->ReadAt(second).value(), "b");
  for (int64_t position : {int64_t{-1}, int64_t{1}, second - 1, second + 1, log->End()}) {
    EXPECT_EQ(log->ReadAt(position).status().code(), absl::StatusCode::kNotFound) << position;
  }
}

TEST_F(RecordLogTest, RefusesEmptyAndOversizedRecords) {
  options_.max_record_bytes = 10;
  auto log = MustOpen();
  EXPECT_EQ(log->Append("").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(log->Append("12345678901").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(log->Append("1234567890").ok());
}

TEST_F(RecordLogTest, StopsAtTheVisitorsError) {
  auto log = MustOpen();
  Fill(*log, 5);
  int seen = 0;
  const absl::Status status = log->Read(0, [&](int64_t, absl::string_view) {
    return ++seen == 3 ? absl::AbortedError("enough") : absl::OkStatus();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
  EXPECT_EQ(seen, 3);
}

TEST_F(RecordLogTest, CutsATailTornAtAnyByte) {
  options_.segment_bytes = 1 << 20;
  auto log = MustOpen();
  Records records = Fill(*log, 20);
  log.reset();
  const std::string path = Segments().back();
  const std::string whole = ReadFile(path).value();
  const size_t last = 8 + records.back().first;
  records.pop_back();
  for (size_t size = last; size < whole.size(); ++size) {
    Overwrite(path, whole.substr(0, size));
    log = MustOpen();
    ASSERT_EQ(ReadFrom(*log, 0), records) << size;
    EXPECT_EQ(log->CutBytes(), static_cast<int64_t>(size - last));
    EXPECT_EQ(log->Append("next").value(), static_cast<int64_t>(last - 8));
    log.reset();
    EXPECT_EQ(ReadFrom(*MustOpen(), 0).size(), records.size() + 1) << size;
  }
}

TEST_F(RecordLogTest, CutsATailOfZerosOrOfGarbage) {
  auto log = MustOpen();
  const Records records = Fill(*log, 3);
  log.reset();
  const std::string path = Segments().back();
  const std::string whole = ReadFile(path).value();
  for (const std::string& tail : {std::string(4096, '\0'), std::string(100, '\xFF')}) {
    Overwrite(path, whole + tail);
    log = MustOpen();
    EXPECT_EQ(ReadFrom(*log, 0), records);
    EXPECT_EQ(log->CutBytes(), static_cast<int64_t>(tail.size()));
    log.reset();
  }
}

TEST_F(RecordLogTest, OpensAfterACrashWhileASegmentWasCreated) {
  auto log = MustOpen();
  const Records records = Fill(*log, 3);
  const int64_t end = log->End();
  log.reset();
  Overwrite(options_.directory + absl::StrFormat("/%020d.log", end), "FLR");
  log = MustOpen();
  EXPECT_EQ(ReadFrom(*log, 0), records);
  EXPECT_EQ(log->Append("next").value(), end);
  log.reset();
  EXPECT_EQ(ReadFrom(*MustOpen(), 0).back().second, "next");
}

TEST_F(RecordLogTest, RefusesADamagedClosedSegment) {
  auto log = MustOpen();
  Fill(*log, 60);
  log.reset();
  const std::string path = Segments().front();
  const std::string whole = ReadFile(path).value();
  for (size_t at = 0; at < whole.size(); at += 7) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    Overwrite(path, damaged);
    EXPECT_EQ(RecordLog::Open(options_).status().code(), absl::StatusCode::kDataLoss) << at;
  }
  Overwrite(path, whole.substr(0, whole.size() - 1));
  EXPECT_EQ(RecordLog::Open(options_).status().code(), absl::StatusCode::kDataLoss);
  Overwrite(path, whole);
  EXPECT_TRUE(RecordLog::Open(options_).ok());
}

TEST_F(RecordLogTest, RefusesAMissingSegment) {
  Fill(*MustOpen(), 60);
  std::filesystem::remove(Segments()[1]);
  const absl::Status status = RecordLog::Open(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ReasonOf(status), "RECORD_LOG_GAP");
}

TEST_F(RecordLogTest, ReportsRotThatSetsInAfterOpening) {
  auto log = MustOpen();
  const Records records = Fill(*log, 60);
  std::string bytes = ReadFile(Segments().front()).value();
  bytes[8 + 8 + 2] ^= 1;
  Overwrite(Segments().front(), bytes);
  EXPECT_EQ(log->ReadAt(0).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(log->ReadAt(records.back().first).value(), records.back().second);
}

TEST_F(RecordLogTest, RefusesASecondOpener) {
  auto log = MustOpen();
  const absl::Status status = RecordLog::Open(options_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(ReasonOf(status), "RECORD_LOG_LOCKED");
  log.reset();
  EXPECT_NE(MustOpen(), nullptr);
}

TEST_F(RecordLogTest, KeepsTheOrderOfPositionsUnderManyWritersAndAReader) {
  constexpr int kThreads = 8;
  constexpr int kEach = 60;
  auto log = MustOpen();
  std::vector<Records> written(kThreads);
  std::atomic<bool> done = false;
  std::thread reader([&] {
    size_t before = 0;
    while (!done) {
      const size_t now = ReadFrom(*log, 0).size();
      EXPECT_GE(now, before);
      before = now;
    }
  });
  std::vector<std::thread> writers;
  for (int t = 0; t < kThreads; ++t) {
    writers.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string record = absl::StrCat("writer ", t, " record ", i);
        written[t].emplace_back(log->Append(record).value(), record);
        EXPECT_TRUE(log->Sync().ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  done = true;
  reader.join();
  std::map<int64_t, std::string> expected;
  for (const Records& records : written) {
    for (size_t i = 1; i < records.size(); ++i) EXPECT_LT(records[i - 1].first, records[i].first);
    expected.insert(records.begin(), records.end());
  }
  EXPECT_EQ(expected.size(), static_cast<size_t>(kThreads * kEach));
  EXPECT_EQ(ReadFrom(*log, 0), Records(expected.begin(), expected.end()));
  log.reset();
  EXPECT_EQ(ReadFrom(*MustOpen(), 0), Records(expected.begin(), expected.end()));
}

// In a child, because the limit on file size holds for a whole process. Exits 0 when all is as it
// should be, else with the number of the step that was not.
int AppendUntilTheDiskIsFull(const RecordLogOptions& options) {
  ::signal(SIGXFSZ, SIG_IGN);
  auto log = RecordLog::Open(options);
  if (!log.ok()) return 1;
  if (!(*log)->Append("before").ok() || !(*log)->Sync().ok()) return 2;
  const rlimit limit = {4096, 4096};
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 3;
  const absl::Status failed = (*log)->Append(std::string(8000, 'x')).status();
  if (failed.code() != absl::StatusCode::kUnavailable) return 4;
  if (ReasonOf(failed) != "RECORD_LOG_BROKEN") return 5;
  if (ReasonOf((*log)->Append("small enough").status()) != "RECORD_LOG_BROKEN") return 6;
  if (ReasonOf((*log)->Sync()) != "RECORD_LOG_BROKEN") return 7;
  if ((*log)->ReadAt(0).value_or("") != "before") return 8;
  return 0;
}

TEST_F(RecordLogTest, TakesNothingMoreAfterAFailedWrite) {
  options_.segment_bytes = 1 << 20;
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(AppendUntilTheDiskIsFull(options_));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  // The next process finds what was acknowledged and cuts what was half written.
  auto log = MustOpen();
  EXPECT_EQ(ReadFrom(*log, 0), (Records{{0, "before"}}));
  EXPECT_GT(log->CutBytes(), 0);
}

// On a tmpfs of its own, where mounting is allowed.
class FullDiskTest : public RecordLogTest {
 protected:
  void SetUp() override {
    auto disk = testing::SmallDisk::Mount(directory_.File("disk"), 256 << 10);
    if (absl::IsPermissionDenied(disk.status())) GTEST_SKIP() << disk.status().message();
    ASSERT_TRUE(disk.ok()) << disk.status();
    disk_ = *std::move(disk);
    options_.directory = directory_.File("disk/log");
  }
  std::unique_ptr<testing::SmallDisk> disk_;
};

TEST_F(FullDiskTest, RefusesWhileThereIsNoRoomAndLosesNothing) {
  for (const int64_t segment_bytes : {1000, 1 << 20}) {
    options_.directory += "x";
    options_.segment_bytes = segment_bytes;
    auto log = MustOpen();
    Records records = Fill(*log, 30);
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(disk_->Fill().ok());
      int taken = 0;
      absl::Status refused;
      while (refused.ok() && taken < 1000) {
        const std::vector<std::string> pair = {absl::StrCat("round ", round),
                                               std::string(300, 'y')};
        const auto positions = log->AppendAll(pair);
        refused = positions.status();
        if (!positions.ok()) continue;
        ++taken;
        for (int i = 0; i < 2; ++i) records.emplace_back((*positions)[i], pair[i]);
      }
      ASSERT_EQ(ReasonOf(refused), "RECORD_LOG_FULL") << refused;
      EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable);
      EXPECT_EQ(ReasonOf(log->Append(std::string(9000, 'z')).status()), "RECORD_LOG_FULL");
      EXPECT_TRUE(log->Sync().ok());
      EXPECT_EQ(ReadFrom(*log, 0), records);
      if (round == 1) {
        // A process that starts on a full disk finds all, and waits for room as well.
        log.reset();
        log = MustOpen();
        ASSERT_NE(log, nullptr);
        EXPECT_EQ(log->CutBytes(), 0);
        EXPECT_EQ(ReasonOf(log->Append(std::string(9000, 'z')).status()), "RECORD_LOG_FULL");
      }
      ASSERT_TRUE(disk_->Free().ok());
      records.emplace_back(log->Append("room again").value(), "room again");
      EXPECT_TRUE(log->Sync().ok());
    }
    log.reset();
    log = MustOpen();
    EXPECT_EQ(log->CutBytes(), 0);
    EXPECT_EQ(ReadFrom(*log, 0), records);
  }
}

TEST_F(RecordLogTest, AppendsAllOrNone) {
  auto log = MustOpen();
  EXPECT_TRUE(log->AppendAll({}).value().empty());
  EXPECT_EQ(ReasonOf(log->AppendAll({"a", ""}).status()), "RECORD_SIZE");
  EXPECT_TRUE(ReadFrom(*log, 0).empty());
  const std::vector<int64_t> positions = log->AppendAll({"a", "bc", "d"}).value();
  EXPECT_EQ(ReadFrom(*log, 0),
            (Records{{positions[0], "a"}, {positions[1], "bc"}, {positions[2], "d"}}));
  EXPECT_EQ(log->ReadAt(positions[1]).value(), "bc");
}

}  // namespace
}  // namespace fairlead

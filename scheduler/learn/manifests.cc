#include "scheduler/learn/manifests.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "common/base/status.h"
#include "scheduler/learn/dataset_split.h"

namespace fairlead::learn {
namespace {

using store::v1::DatasetManifest;

DatasetManifest::Split ToProto(Split split) {
  switch (split) {
    case Split::kTrain:
      return DatasetManifest::TRAIN;
    case Split::kValidation:
      return DatasetManifest::VALIDATION;
    case Split::kTest:
      return DatasetManifest::TEST;
    case Split::kWindow:
      return DatasetManifest::WINDOW;
  }
  return DatasetManifest::SPLIT_UNSPECIFIED;
}

// The item that a task's label stands in.
const std::string& ItemOf(const store::v1::TaskRecord& task) {
  return task.checks().empty() ? task.task() : task.checks();
}

}  // namespace

absl::StatusOr<int64_t> RemoveDeleted(const store::LogIndex& index, DatasetManifest& manifest) {
  absl::flat_hash_set<std::string> deleted;
  RETURN_IF_ERROR(index.VisitLabelled(
      manifest.model(), [&](const store::v1::TaskRecord& task, const store::v1::LabelRecord&) {
        if (index.BarredFromLearning(task.task())) deleted.insert(ItemOf(task));
      }));
  auto& items = *manifest.mutable_items();
  const auto kept = std::remove_if(items.begin(), items.end(),
                                   [&](const auto& item) { return deleted.contains(item.id()); });
  const int64_t removed = std::distance(kept, items.end());
  items.erase(kept, items.end());
  return removed;
}

absl::StatusOr<DatasetManifest> BuildDataset(const store::v1::ProjectRecord& project,
                                             const store::LogIndex& index,
                                             const DatasetManifest* last) {
  DatasetManifest manifest;
  manifest.set_model(project.project());
  *manifest.mutable_schema() = project.settings().answer_schema();
  struct Labelled {
    store::v1::TaskRecord task;
    store::v1::LabelRecord label;
  };
  std::vector<Labelled> labelled;
  absl::flat_hash_map<std::string, store::v1::LabelRecord> checked;  // By the task they check.
  absl::flat_hash_set<std::string> deleted;
  RETURN_IF_ERROR(index.VisitLabelled(project.project(), [&](const store::v1::TaskRecord& task,
                                                             const store::v1::LabelRecord& label) {
    if (index.BarredFromLearning(task.task())) deleted.insert(ItemOf(task));
    if (!task.has_gold() && label.answers() == 0) return;  // Decided by a model alone.
    if (!task.checks().empty()) {
      checked[task.checks()] = label;
    } else {
      labelled.push_back({task, label});
    }
  }));
  labelled.erase(
      std::remove_if(labelled.begin(), labelled.end(),
                     [&](const Labelled& one) { return deleted.contains(one.task.task()); }),
      labelled.end());
  std::sort(labelled.begin(), labelled.end(),
            [](const Labelled& a, const Labelled& b) { return a.task.task() < b.task.task(); });
  for (Labelled& one : labelled) {
    const auto check = checked.find(one.task.task());
    if (check != checked.end()) one.label = std::move(check->second);
  }
  absl::flat_hash_set<absl::string_view> known;
  if (last != nullptr) {
    for (const DatasetManifest::Item& item : last->items()) known.insert(item.id());
  }
  std::vector<SplitItem> items;
  items.reserve(labelled.size());
  for (const Labelled& l : labelled) {
    const bool fresh = last != nullptr && !known.contains(l.task.task());
    items.push_back({l.task.group(), l.task.task(), l.task.has_gold(), fresh});
  }
  const std::vector<Split> splits = AssignSplits(items);
  for (size_t i = 0; i < labelled.size(); ++i) {
    DatasetManifest::Item& item = *manifest.add_items();
    item.set_id(labelled[i].task.task());
    *item.mutable_payload() = std::move(*labelled[i].task.mutable_payload());
    *item.mutable_answer() = std::move(*labelled[i].label.mutable_answer());
    item.set_weight(labelled[i].label.confidence());
    item.set_split(ToProto(splits[i]));
    item.set_group(labelled[i].task.group());
  }
  return manifest;
}

absl::StatusOr<store::v1::PrelabelManifest> BuildPrelabelManifest(
    const std::string& project, const std::string& version, const std::vector<std::string>& tasks,
    const store::TaskStore& store) {
  store::v1::PrelabelManifest manifest;
  manifest.set_model_version(version);
  for (const std::string& task : tasks) {
    absl::StatusOr<store::TaskState> state = store.Load({project, task});
    if (absl::IsNotFound(state.status())) continue;
    RETURN_IF_ERROR(state.status());
    store::v1::PrelabelManifest::Item& item = *manifest.add_items();
    item.set_task(task);
    *item.mutable_payload() = std::move(*state->record.mutable_payload());
  }
  return manifest;
}

std::string DeterministicBytes(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

}  // namespace fairlead::learn

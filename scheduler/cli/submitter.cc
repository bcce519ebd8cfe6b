#include "scheduler/cli/submitter.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"

namespace fairlead::cli {
namespace {

constexpr size_t kMaxInlineImageBytes = 256 << 10;
constexpr size_t kChunkBytes = 256 << 10;

// Map fields apart (there are none in these messages), protobuf writes equal messages equally.
std::string DeterministicBytes(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream output(&stream);
    output.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&output);
  }
  return bytes;
}

int64_t SizeOf(const NewTask& task) {
  return static_cast<int64_t>(task.task.ByteSizeLong() +
                              (task.answer.has_value() ? task.answer->ByteSizeLong() : 0));
}

absl::StatusOr<v1::SubmitTasksResponse> SendBatch(const Client& client,
                                                  const std::vector<const NewTask*>& tasks,
                                                  const std::string& request_id,
                                                  const SubmitOptions& options) {
  if (tasks.front()->answer.has_value()) {
    v1::AddGoldRequest request;
    request.set_project(options.project);
    request.set_request_id(request_id);
    for (const NewTask* task : tasks) {
      auto* gold = request.add_gold();
      *gold->mutable_task() = task->task;
      *gold->mutable_answer() = *task->answer;
    }
    return client.Call(client.tasks(), &v1::TaskService::Stub::AddGold, request, options.retry_for);
  }
  v1::SubmitTasksRequest request;
  request.set_project(options.project);
  request.set_request_id(request_id);
  for (const NewTask* task : tasks) *request.add_tasks() = task->task;
  return client.Call(client.tasks(), &v1::TaskService::Stub::SubmitTasks, request,
                     options.retry_for);
}

}  // namespace

std::vector<std::vector<size_t>> MakeBatches(const std::vector<NewTask>& tasks,
                                             const SubmitOptions& options) {
  std::vector<std::vector<size_t>> batches;
  for (const bool gold : {true, false}) {
    int64_t bytes = 0;
    bool open = false;
    for (size_t i = 0; i < tasks.size(); ++i) {
      if (tasks[i].answer.has_value() != gold) continue;
      const int64_t size = SizeOf(tasks[i]);
      if (!open || bytes + size > options.max_bytes ||
          static_cast<int>(batches.back().size()) >= options.max_tasks) {
        batches.emplace_back();
        bytes = 0;
        open = true;
      }
      batches.back().push_back(i);
      bytes += size;
    }
  }
  return batches;
}

std::string BatchRequestId(const SubmitOptions& options, size_t index,
                           const std::vector<const NewTask*>& tasks) {
  Sha256 digest;
  // Lengths in front: no two different inputs run into the same bytes.
  const auto add = [&digest](absl::string_view bytes) {
    digest.Update(absl::StrCat(bytes.size(), ":"));
    digest.Update(bytes);
  };
  add(options.run_id);
  add(options.project);
  add(absl::StrCat(index));
  for (const NewTask* task : tasks) {
    add(DeterministicBytes(task->task));
    add(task->answer.has_value() ? DeterministicBytes(*task->answer) : "");
  }
  return digest.FinishHex();
}

absl::StatusOr<std::vector<std::string>> SubmitAll(const Client& client,
                                                   const std::vector<NewTask>& tasks,
                                                   const SubmitOptions& options) {
  std::vector<std::string> names(tasks.size());
  int64_t done = 0;
  const auto batches = MakeBatches(tasks, options);
  for (size_t index = 0; index < batches.size(); ++index) {
    std::vector<const NewTask*> batch;
    for (const size_t i : batches[index]) batch.push_back(&tasks[i]);
    absl::StatusOr<v1::SubmitTasksResponse> response =
        SendBatch(client, batch, BatchRequestId(options, index, batch), options);
    if (!response.ok()) {
      return Annotate(response.status(), absl::StrCat("batch ", index + 1, " of ", batches.size(),
                                                      ", after ", done, " tasks submitted"));
    }
    if (response->names_size() != static_cast<int>(batch.size())) {
      return absl::InternalError("the server answered with another number of tasks");
    }
    for (size_t k = 0; k < batch.size(); ++k) {
      names[batches[index][k]] = response->names(static_cast<int>(k));
    }
    done += static_cast<int64_t>(batch.size());
    if (options.on_progress) options.on_progress(done, static_cast<int64_t>(tasks.size()));
  }
  return names;
}

absl::StatusOr<std::string> UploadBlob(const Client& client, absl::string_view bytes) {
  grpc::ClientContext context;
  client.Prepare(&context, absl::Minutes(5));
  v1::UploadBlobResponse response;
  const auto writer = client.blobs()->UploadBlob(&context, &response);
  v1::UploadBlobRequest part;
  part.mutable_header()->set_tenant(client.tenant_name());
  part.mutable_header()->set_size(static_cast<int64_t>(bytes.size()));
  part.mutable_header()->set_sha256(Sha256Hex(bytes));
  bool open = writer->Write(part);
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    part.set_chunk(std::string(bytes.substr(at, kChunkBytes)));
    open = writer->Write(part);
  }
  if (open) writer->WritesDone();
  RETURN_IF_ERROR(rpc::FromGrpcStatus(writer->Finish()));
  return response.blob();
}

absl::StatusOr<std::string> DownloadBlob(const Client& client, const std::string& blob) {
  grpc::ClientContext context;
  client.Prepare(&context, absl::Minutes(5));
  v1::DownloadBlobRequest request;
  request.set_tenant(client.tenant_name());
  request.set_blob(blob);
  const auto reader = client.blobs()->DownloadBlob(&context, request);
  std::string bytes;
  v1::DownloadBlobResponse part;
  while (reader->Read(&part)) bytes.append(part.chunk());
  RETURN_IF_ERROR(rpc::FromGrpcStatus(reader->Finish()));
  if (Sha256Hex(bytes) != blob) {
    return absl::DataLossError(absl::StrCat("blob ", blob, ": the bytes do not match the id"));
  }
  return bytes;
}

absl::Status AttachImage(const Client& client, std::string bytes, v1::Task& task) {
  auto* image = task.mutable_payload()->mutable_image_text();
  if (bytes.size() <= kMaxInlineImageBytes) {
    image->set_image(std::move(bytes));
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(*image->mutable_blob(), UploadBlob(client, bytes));
  return absl::OkStatus();
}

}  // namespace fairlead::cli

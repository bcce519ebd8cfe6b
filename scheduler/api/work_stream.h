// One contractor's Work stream as a callback reactor. Events of a stream are handled one after the
// other on the executor, which an answer leaves while the log is synced; responses leave one at a
// time. A stream that does not drain is cut.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include "common/base/executor.h"
#include "fairlead/v1/contractor_service.pb.h"
#include "scheduler/api/contractor_actions.h"
#include "scheduler/api/parts.h"
#include "scheduler/api/work_hub.h"

namespace fairlead::api {

// The reactor owns itself and ends with the stream. All references outlive every stream.
grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* NewWorkStream(
    const Parts& parts, ContractorActions& actions, WorkHub& hub, Executor& executor,
    grpc::CallbackServerContext* context);

}  // namespace fairlead::api

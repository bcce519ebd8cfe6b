// Rebuilds slots from the record log when Redis has come back poorer than it left: empty, or
// without the tail that the log has. Runs under a closed gate, so nobody else writes meanwhile.
#pragma once

#include <set>
#include <string>

#include "absl/status/status.h"
#include "common/record_log/record_log.h"
#include "common/redis/connection.h"
#include "scheduler/store/log_index.h"
#include "scheduler/store/slots.h"

namespace fairlead::store {

// Wipes `slots` and writes into them what the log says: projects, open tasks and dead letters with
// their answers (what ended otherwise stays in the log, as if archived), pay, contractors, tenants,
// tokens, models; machine lanes come back empty (their jobs are enqueued again under their
// deterministic ids). Offers and leases are gone: their tokens get LEASE_LOST. A submit of which
// the log holds everything keeps its request id. Each slot's sequence continues behind the log's
// last event. Idempotent: run again after a failure. O(log).
absl::Status Rebuild(redis::ConnectionPool& pool, RecordLog& log, const LogIndex& index,
                     const Topology& topology, const std::set<std::string>& slots);

}  // namespace fairlead::store

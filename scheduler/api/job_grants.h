// Which blobs running jobs may fetch, remembered so that a manifest of thousands of images is read
// once and not once an image. A cache: what it does not know is looked up in the manifest.
#pragma once

#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"

namespace fairlead::api {

// Thread-safe. Holds the latest 64 jobs.
class JobGrants {
 public:
  bool Has(absl::string_view job, absl::string_view blob) const {
    MutexLock lock(&mu_);
    auto found = blobs_.find(job);
    return found != blobs_.end() && found->second.contains(blob);
  }

  void Remember(const std::string& job, absl::flat_hash_set<std::string> blobs) {
    MutexLock lock(&mu_);
    if (!blobs_.contains(job)) order_.push_back(job);
    blobs_[job] = std::move(blobs);
    if (order_.size() > 64) {
      blobs_.erase(order_.front());
      order_.pop_front();
    }
  }

 private:
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, absl::flat_hash_set<std::string>> blobs_ ABSL_GUARDED_BY(mu_);
  std::deque<std::string> order_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::api

// BlobStore in memory, for tests and simulation: the same answers as the directory's, no
// durability.
#pragma once

#include <memory>

#include "common/blob/blob_store.h"

namespace fairlead {

std::unique_ptr<BlobStore> NewMemoryBlobStore();

}  // namespace fairlead

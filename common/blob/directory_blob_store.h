// BlobStore over a directory: <root>/<tenant>/<first 2 hex>/<other 62 hex>. Several processes may
// share the root. Files being written lie in <root>/.tmp; what a crash leaves there is garbage and
// may be removed while nothing writes.
#pragma once

#include <memory>
#include <string>

#include "common/blob/blob_store.h"

namespace fairlead {

// `root` is created with the first blob. A Put returns after fsync of the file and of its
// directory.
std::unique_ptr<BlobStore> NewDirectoryBlobStore(std::string root);

}  // namespace fairlead

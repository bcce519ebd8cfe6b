// A set of images on disk: the files below a folder, or the members of a tar archive (plain or
// compressed, whatever libarchive reads).
#pragma once

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

// Called with the name relative to the set and the bytes; empty bytes with `error` set when the
// file cannot be read or is larger than the bound. Stops at the first status that is not OK.
using ImageVisitor = std::function<absl::Status(const std::string& name, std::string bytes,
                                                const absl::Status& error)>;

// Visits every regular file but labels.tsv and images.tar, in order of name for a folder and in the
// archive's order for an archive. A folder that holds images.tar stands for that archive.
// NOT_FOUND when there is no such path, INVALID_ARGUMENT for an archive that cannot be read.
absl::Status VisitImages(const std::string& path, const ImageVisitor& visit);

// INVALID_ARGUMENT (reason IMAGE_…) when the bytes are no PNG or JPEG that the server would take:
// bounds first, then decoded once, so that a truncated file is found here and not by the server.
absl::Status CheckImage(absl::string_view bytes);

}  // namespace fairlead::cli

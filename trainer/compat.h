// libtorch, with the differences between 1.13 (Debian 12) and 2.x in one place. Only trainer/ may
// include it; nothing outside trainer/ sees a tensor.
#pragma once

#include <ATen/autocast_mode.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/torch.h>

#include <exception>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

// Both versions define these macros; ours are FAIRLEAD_LOG and FAIRLEAD_CHECK.
#undef LOG
#undef CHECK

namespace fairlead::trainer {

// `auto` takes CUDA when there is one. INVALID_ARGUMENT for an unknown name or a missing device.
inline absl::StatusOr<torch::Device> ChooseDevice(absl::string_view name) {
  const bool cuda = torch::cuda::is_available();
  if (name == "cpu" || (name == "auto" && !cuda)) return torch::Device(torch::kCPU);
  if (name == "cuda" && !cuda) return FieldError("device", "no CUDA device here; use cpu or auto");
  if (name == "cuda" || name == "auto") return torch::Device(torch::kCUDA);
  return FieldError("device", absl::StrCat("'", name, "' is unknown; use cpu, cuda or auto"));
}

// The same bits on every run of one device class and thread count, and no processor time for
// waiting: OpenBLAS keeps a thread a core that spins between calls (its products here are small;
// the convolutions are oneDNN's), and glibc gives a step's buffers back to the system, to be zeroed
// anew in the next one.
inline void UseReproducibleKernels(int threads) {
  at::set_num_threads(threads);
  using SetThreads = void (*)(int);
  if (void* set = dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); set != nullptr) {
    reinterpret_cast<SetThreads>(set)(1);
  }
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setFlushDenormal(true);
}

// While one lives, convolutions and matrix products of this thread on a GPU compute in bfloat16
// (torch's autocast); weights, gradients and what autocast holds to be delicate stay float32.
// Nothing happens when it is not wanted. Not to be nested.
class Bfloat16Scope {
 public:
  explicit Bfloat16Scope(bool wanted) : wanted_(wanted) {
    if (wanted_) Switch(true);
  }
  ~Bfloat16Scope() {
    if (!wanted_) return;
    Switch(false);
    at::autocast::clear_cache();
  }
  Bfloat16Scope(const Bfloat16Scope&) = delete;
  Bfloat16Scope& operator=(const Bfloat16Scope&) = delete;

 private:
  static void Switch(bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    at::autocast::set_autocast_dtype(at::kCUDA, at::kBFloat16);
    at::autocast::set_autocast_enabled(at::kCUDA, on);
#else
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
    at::autocast::set_enabled(on);
#endif
  }

  const bool wanted_;
};

inline bool IsOutOfMemory(const std::exception& failure) {
  const std::string text = failure.what();
  const std::string first_line = text.substr(0, text.find('\n'));
  return dynamic_cast<const std::bad_alloc*>(&failure) != nullptr ||
         first_line.find("out of memory") != std::string::npos ||
         first_line.find("allocate memory") != std::string::npos;
}

inline absl::Status StatusOfTorchFailure(const std::exception& failure) {
  const std::string text = failure.what();
  const std::string first_line = text.substr(0, text.find('\n'));
  return IsOutOfMemory(failure)
             ? Error(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", first_line)
             : Error(absl::StatusCode::kInternal, "TORCH_FAILED", first_line);
}

// Runs `body` (returning absl::Status or absl::StatusOr) and turns torch's exceptions into
// statuses.
template <typename Body>
auto CatchTorch(Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::exception& failure) {
    return StatusOfTorchFailure(failure);
  }
}

}  // namespace fairlead::trainer

// Runs kernels on a GPU.

#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/tensor.h>

#include <algorithm>

#include "thread_team.h"

namespace fgfa {

struct CudaContext {
  __device__ int64_t block() const { return blockIdx.x; }
  __device__ int64_t blocks() const { return gridDim.x; }
  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ void sync() const { __syncthreads(); }

  template <typename T>
  __device__ T shuffle_xor(T value, int mask) const {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }
  template <typename T>
  __device__ T* shared() const {
    __shared__ T values[kThreads];
    return values;
  }
  template <typename T>
  __device__ void atomic_add(T* address, T value) const {
    atomicAdd(address, value);
  }
};

template <typename Kernel>
__global__ void __launch_bounds__(kThreads, Kernel::kBlocks) run(const Kernel kernel) {
  kernel(CudaContext{});
}

// Makes the device of a tensor the current one as long as it lives, and launches on its current
// stream.
class CudaLaunch {
 public:
  explicit CudaLaunch(const torch::stable::Tensor& tensor) : guard_(tensor.get_device_index()) {
    void* stream = nullptr;
    STABLE_TORCH_ERROR_CODE_CHECK(
        aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
    stream_ = static_cast<cudaStream_t>(stream);
  }

  template <typename Kernel>
  void operator()(const Kernel& kernel) const {
    // Threads go on to further items where a kernel has more of them than these blocks.
    constexpr int64_t kMaxBlocks = 1 << 20;
    const int64_t blocks = (kernel.items() + Kernel::kItems - 1) / Kernel::kItems;
    if (blocks == 0) return;
    run<<<static_cast<unsigned>(std::min(blocks, kMaxBlocks)), kThreads, 0, stream_>>>(kernel);
    STD_CUDA_KERNEL_LAUNCH_CHECK();
  }

 private:
  torch::stable::accelerator::DeviceGuard guard_;
  cudaStream_t stream_;
};

}  // namespace fgfa

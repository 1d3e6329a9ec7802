// flow_warp on CUDA. A thread owns an output cell and walks through every gridDim.y-th channel.

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <algorithm>
#include <tuple>

#include "../flow_warp.h"
#include "../flow_warp_math.h"

namespace fgfa {
namespace {

using torch::stable::Tensor;

constexpr int kThreads = 256;
constexpr int64_t kChannelsPerThread = 32;  // spreads one small map over a whole GPU
constexpr int64_t kMaxBlocksX = 1 << 20;
constexpr int64_t kMaxBlocksY = 65535;

template <typename scalar_t, typename acc_t>
__global__ void forward_kernel(const scalar_t* feature, const acc_t* flow, scalar_t* warped,
                               const MapShape shape) {
  const int64_t plane = shape.height * shape.width;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  for (int64_t index = first; index < shape.batch * plane; index += step) {
    const int64_t n = index / plane;
    const int64_t cell = index % plane;
    const auto sample = sample_cell(flow + n * 2 * plane, cell, shape.height, shape.width);
    for (int64_t c = blockIdx.y; c < shape.channels; c += gridDim.y) {
      const int64_t offset = (n * shape.channels + c) * plane;
      warped[offset + cell] =
          static_cast<scalar_t>(interpolate(read_corners(feature + offset, sample), sample));
    }
  }
}

template <typename acc_t>
struct AtomicAdd {
  __device__ __host__ void operator()(acc_t* address, acc_t value) const {
#ifdef __CUDA_ARCH__
    atomicAdd(address, value);
#endif
  }
};

template <typename scalar_t, typename acc_t>
__global__ void backward_kernel(const scalar_t* grad, const scalar_t* feature, const acc_t* flow,
                                acc_t* grad_feature, acc_t* grad_flow, const MapShape shape) {
  const int64_t plane = shape.height * shape.width;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t first = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  const AtomicAdd<acc_t> add;
  for (int64_t index = first; index < shape.batch * plane; index += step) {
    const int64_t n = index / plane;
    const int64_t cell = index % plane;
    const auto sample = sample_cell(flow + n * 2 * plane, cell, shape.height, shape.width);
    acc_t grad_x = 0;
    acc_t grad_y = 0;
    for (int64_t c = blockIdx.y; c < shape.channels; c += gridDim.y) {
      const int64_t offset = (n * shape.channels + c) * plane;
      const acc_t value = static_cast<acc_t>(grad[offset + cell]);
      const auto corners = read_corners(feature + offset, sample);
      grad_x += value * slope_x(corners, sample);
      grad_y += value * slope_y(corners, sample);
      spread(grad_feature + offset, sample, value, add);
    }
    add(grad_flow + n * 2 * plane + cell, grad_x);
    add(grad_flow + (n * 2 + 1) * plane + cell, grad_y);
  }
}

dim3 grid(const MapShape& shape) {
  const int64_t cells = shape.batch * shape.plane();
  const int64_t x = std::min((cells + kThreads - 1) / kThreads, kMaxBlocksX);
  const int64_t y = (shape.channels + kChannelsPerThread - 1) / kChannelsPerThread;
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(std::min(y, kMaxBlocksY)));
}

cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  STABLE_TORCH_ERROR_CODE_CHECK(
      aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

template <typename scalar_t>
void forward(const Tensor& feature, const Tensor& flow, Tensor& warped, const MapShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  forward_kernel<scalar_t, acc_t><<<grid(shape), kThreads, 0, current_stream(feature)>>>(
      feature.const_data_ptr<scalar_t>(), flow.const_data_ptr<acc_t>(),
      warped.mutable_data_ptr<scalar_t>(), shape);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename scalar_t>
void backward(const Tensor& grad, const Tensor& feature, const Tensor& flow, Tensor& grad_feature,
              Tensor& grad_flow, const MapShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  backward_kernel<scalar_t, acc_t><<<grid(shape), kThreads, 0, current_stream(feature)>>>(
      grad.const_data_ptr<scalar_t>(), feature.const_data_ptr<scalar_t>(),
      flow.const_data_ptr<acc_t>(), grad_feature.mutable_data_ptr<acc_t>(),
      grad_flow.mutable_data_ptr<acc_t>(), shape);
  STD_CUDA_KERNEL_LAUNCH_CHECK();
}

Tensor flow_warp_cuda(const Tensor& feature, const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  const torch::stable::accelerator::DeviceGuard guard(feature.get_device_index());
  const Tensor map = torch::stable::contiguous(feature);
  const Tensor field = torch::stable::contiguous(flow);
  Tensor warped = torch::stable::new_empty(map, map.sizes());
  if (warped.numel() == 0) {
    return warped;
  }
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp",
                  AT_WRAP([&] { forward<scalar_t>(map, field, warped, shape); }), AT_FLOATING_TYPES,
                  torch::headeronly::ScalarType::Half, torch::headeronly::ScalarType::BFloat16);
  return warped;
}

std::tuple<Tensor, Tensor> flow_warp_backward_cuda(const Tensor& grad, const Tensor& feature,
                                                   const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  check_flow_warp_grad(grad, feature);
  const torch::stable::accelerator::DeviceGuard guard(feature.get_device_index());
  // Atomics add in the type of the flow; half precision is rounded to once, at the end.
  Tensor grad_feature = torch::stable::new_zeros(feature, feature.sizes(), flow.scalar_type());
  Tensor grad_flow = torch::stable::new_zeros(flow, flow.sizes());
  const Tensor out_grad = torch::stable::contiguous(grad);
  const Tensor map = torch::stable::contiguous(feature);
  const Tensor field = torch::stable::contiguous(flow);
  if (grad_feature.numel() > 0) {
    THO_DISPATCH_V2(feature.scalar_type(), "flow_warp_backward", AT_WRAP([&] {
                      backward<scalar_t>(out_grad, map, field, grad_feature, grad_flow, shape);
                    }),
                    AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                    torch::headeronly::ScalarType::BFloat16);
  }
  return {torch::stable::to(grad_feature, feature.scalar_type()), grad_flow};
}

}  // namespace
}  // namespace fgfa

STABLE_TORCH_LIBRARY_IMPL(fgfa, CUDA, m) {
  m.impl("flow_warp", TORCH_BOX(&fgfa::flow_warp_cuda));
  m.impl("flow_warp_backward", TORCH_BOX(&fgfa::flow_warp_backward_cuda));
}

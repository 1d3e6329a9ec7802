// What the CPU and the CUDA entry points of ps_roi_pool check and share.

#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "map_layout.h"
#include "ps_roi_pool_math.h"

namespace fgfa {

inline void check_rois(const Tensor& maps, const Tensor& rois) {
  STD_TORCH_CHECK(rois.dim() == 2 && rois.size(1) == 5,
                  "ps_roi_pool: boxes must have shape (R, 5): image index, x1, y1, x2, y2.");
  STD_TORCH_CHECK(maps.device() == rois.device(),
                  "ps_roi_pool: maps and boxes must be on one device.");
  const bool is_double = maps.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(rois.scalar_type() == (is_double ? ScalarType::Double : ScalarType::Float),
                  "ps_roi_pool: boxes must be ",
                  is_double ? "float64." : "float32 (float64 for float64 maps).");
}

// Rows, columns and bins are counted in 32 bits, with room for those behind the last.
inline PoolShape checked_shape(const PoolShape& shape) {
  constexpr int64_t kMost = 1 << 30;
  STD_TORCH_CHECK(shape.bins <= kMost && shape.height <= kMost && shape.width <= kMost,
                  "ps_roi_pool: a side must have at most 2^30 cells and bins.");
  return shape;
}

// input: (N, D * k * k, H, W); rois: (R, 5).
inline PoolShape check_ps_roi_pool(const Tensor& input, const Tensor& rois, int64_t output_size) {
  STD_TORCH_CHECK(input.dim() == 4, "ps_roi_pool: input must have shape (N, D * k * k, H, W).");
  STD_TORCH_CHECK(output_size > 0, "ps_roi_pool: output_size must be positive.");
  const int64_t channels = input.size(1);
  const int64_t classes = channels / output_size / output_size;
  STD_TORCH_CHECK(channels % output_size == 0 && channels / output_size % output_size == 0,
                  "ps_roi_pool: ", channels, " channels do not divide into ", output_size, " x ",
                  output_size, " bins.");
  check_rois(input, rois);
  return checked_shape({input.size(0), classes, output_size, input.size(2), input.size(3)});
}

// grad: (R, D, k, k); rois: (R, 5).
inline PoolShape check_ps_roi_pool_grad(const Tensor& grad, const Tensor& rois, int64_t batch,
                                        int64_t height, int64_t width) {
  STD_TORCH_CHECK(
      grad.dim() == 4 && grad.size(2) == grad.size(3) && grad.size(0) == rois.size(0),
      "ps_roi_pool_backward: grad must have shape (R, D, k, k) with a row for each box.");
  STD_TORCH_CHECK(batch >= 0 && height >= 0 && width >= 0,
                  "ps_roi_pool_backward: sizes must not be negative.");
  check_rois(grad, rois);
  return checked_shape({batch, grad.size(1), grad.size(2), height, width});
}

inline MapStrides strides_of(const Tensor& maps) {
  return {maps.stride(0), maps.stride(1), maps.stride(2), maps.stride(3)};
}

// Uninitialized maps (N, D * k * k, H, W) of the type and on the device of grad.
inline Tensor empty_grad_input(const Tensor& grad, const PoolShape& shape, bool channels_last) {
  const MemoryFormat layout = channels_last ? MemoryFormat::ChannelsLast : MemoryFormat::Contiguous;
  return empty_maps(grad, {shape.batch, shape.channels(), shape.height, shape.width},
                    grad.scalar_type(), layout);
}

}  // namespace fgfa

// What the CPU and the CUDA entry points of flow_warp check and share.

#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

#include "flow_warp_math.h"

namespace fgfa {

inline bool has_shape(const torch::stable::Tensor& tensor, const MapShape& shape) {
  return tensor.dim() == 4 && tensor.size(0) == shape.batch && tensor.size(1) == shape.channels &&
         tensor.size(2) == shape.height && tensor.size(3) == shape.width;
}

// op and name are those of the operator and of its argument that is warped.
inline MapShape check_flow_warp(const torch::stable::Tensor& feature,
                                const torch::stable::Tensor& flow, const char* op = "flow_warp",
                                const char* name = "feature") {
  using torch::headeronly::ScalarType;
  STD_TORCH_CHECK(feature.dim() == 4, op, ": ", name, " must have shape (N, C, H, W).");
  const MapShape shape{feature.size(0), feature.size(1), feature.size(2), feature.size(3)};
  STD_TORCH_CHECK(has_shape(flow, {shape.batch, 2, shape.height, shape.width}), op,
                  ": flow must have shape (N, 2, H, W) with N, H and W of ", name, ": ",
                  shape.batch, ", ", shape.height, ", ", shape.width, ".");
  STD_TORCH_CHECK(feature.device() == flow.device(), op, ": ", name,
                  " and flow must be on one device.");
  const bool is_double = feature.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(flow.scalar_type() == (is_double ? ScalarType::Double : ScalarType::Float), op,
                  ": flow must be ",
                  is_double ? "float64." : "float32 (float64 for float64 features).");
  return shape;
}

inline void check_flow_warp_grad(const torch::stable::Tensor& grad,
                                 const torch::stable::Tensor& feature, const MapShape& shape) {
  STD_TORCH_CHECK(has_shape(grad, shape) && grad.device() == feature.device() &&
                      grad.scalar_type() == feature.scalar_type(),
                  "flow_warp_backward: grad must have the shape, type and device of feature.");
}

}  // namespace fgfa

// What the CPU and the CUDA entry points of flow_warp check and share.

#pragma once

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

namespace fgfa {

// Sizes of a feature map (N, C, H, W).
struct MapShape {
  int64_t batch, channels, height, width;

  int64_t plane() const { return height * width; }
};

inline MapShape check_flow_warp(const torch::stable::Tensor& feature,
                                const torch::stable::Tensor& flow) {
  using torch::headeronly::ScalarType;
  STD_TORCH_CHECK(feature.dim() == 4, "flow_warp: feature must have shape (N, C, H, W).");
  const MapShape shape{feature.size(0), feature.size(1), feature.size(2), feature.size(3)};
  STD_TORCH_CHECK(
      flow.dim() == 4 && flow.size(0) == shape.batch && flow.size(1) == 2 &&
          flow.size(2) == shape.height && flow.size(3) == shape.width,
      "flow_warp: flow must have shape (N, 2, H, W) with N, H and W of the feature map: ",
      shape.batch, ", ", shape.height, ", ", shape.width, ".");
  STD_TORCH_CHECK(feature.device() == flow.device(),
                  "flow_warp: feature and flow must be on one device.");
  const bool is_double = feature.scalar_type() == ScalarType::Double;
  STD_TORCH_CHECK(flow.scalar_type() == (is_double ? ScalarType::Double : ScalarType::Float),
                  "flow_warp: flow must be ",
                  is_double ? "float64." : "float32 (float64 for float64 features).");
  return shape;
}

inline void check_flow_warp_grad(const torch::stable::Tensor& grad,
                                 const torch::stable::Tensor& feature) {
  bool same = grad.dim() == 4 && grad.device() == feature.device() &&
              grad.scalar_type() == feature.scalar_type();
  for (int64_t i = 0; same && i < 4; ++i) {
    same = grad.size(i) == feature.size(i);
  }
  STD_TORCH_CHECK(same,
                  "flow_warp_backward: grad must have the shape, type and device of feature.");
}

}  // namespace fgfa

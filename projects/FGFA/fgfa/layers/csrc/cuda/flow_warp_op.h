// flow_warp by the kernels of aggregate, for windows of one frame whose weight is one.

#pragma once

#include <torch/headeronly/core/Dispatch_v2.h>

#include <tuple>

#include "../flow_warp.h"
#include "warp_steps.h"

namespace fgfa {

template <typename Launch>
Tensor flow_warp(const Tensor& feature, const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  const Launch launch(feature);
  const MemoryFormat layout = layout_of(feature);
  const Tensor map = torch::stable::contiguous(feature, layout);
  const Tensor field = torch::stable::contiguous(flow);
  const Tensor warped = empty_maps(feature, shape, feature.scalar_type(), layout);
  const auto run = [&](auto zero) {
    using scalar_t = decltype(zero);
    warped_sum<scalar_t>(launch, maps_of<scalar_t>(map, shape, layout),
                         field.const_data_ptr<accumulate_t<scalar_t>>(), {}, 1,
                         warped.mutable_data_ptr<scalar_t>(), shape.batch);
  };
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp", AT_WRAP([&] { run(scalar_t()); }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return warped;
}

template <typename Launch>
std::tuple<Tensor, Tensor> flow_warp_backward(const Tensor& grad, const Tensor& feature,
                                              const Tensor& flow, bool deterministic) {
  const MapShape shape = check_flow_warp(feature, flow);
  check_flow_warp_grad(grad, feature, shape);
  const Launch launch(feature);
  const MemoryFormat layout = layout_of(feature);
  const Tensor out_grad = torch::stable::contiguous(grad, layout);
  const Tensor map = torch::stable::contiguous(feature, layout);
  const Tensor field = torch::stable::contiguous(flow);
  // Sums are in the type of the flow; half precision is rounded to once, at the end.
  const Tensor grad_feature = zero_maps(feature, shape, flow.scalar_type(), layout);
  const Tensor grad_flow = torch::stable::new_zeros(flow, flow.sizes());
  const auto run = [&](auto zero) {
    using scalar_t = decltype(zero);
    using acc_t = accumulate_t<scalar_t>;
    const WarpedGradient<scalar_t> warped{map.const_data_ptr<scalar_t>(),
                                          field.const_data_ptr<acc_t>(),
                                          out_grad.const_data_ptr<scalar_t>(),
                                          nullptr,
                                          nullptr,
                                          shape,
                                          1};
    warp_backward(launch, warped, layout, deterministic, grad_feature.mutable_data_ptr<acc_t>(),
                  grad_flow.mutable_data_ptr<acc_t>());
  };
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp_backward", AT_WRAP([&] { run(scalar_t()); }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return {torch::stable::to(grad_feature, feature.scalar_type()), grad_flow};
}

}  // namespace fgfa

// ps_roi_pool on CUDA, or on what else Launch stands for.

#pragma once

#include <torch/headeronly/core/Dispatch_v2.h>

#include "../map_layout.h"
#include "../ps_roi_pool.h"
#include "../ps_roi_pool_math.h"
#include "thread_team.h"

namespace fgfa {

// A thread owns an element of the result (R, D, k, k).
template <typename scalar_t>
struct PoolForward {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = kThreads;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  const scalar_t* input;
  MapStrides strides;
  const acc_t* rois;
  int64_t boxes;
  PoolShape shape;
  acc_t spatial_scale;
  scalar_t* pooled;

  FGFA_HOST_DEVICE int64_t items() const { return boxes * shape.channels(); }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    for (int64_t index = context.block() * kItems + context.thread(); index < items();
         index += context.blocks() * kItems) {
      pooled[index] = pool_element(input, strides, rois, index, shape, spatial_scale);
    }
  }
};

// A block owns kThreads cells of a slab, each thread one of them. The threads find the bins of
// kThreads boxes, one each, then all gather from these in order: there are no atomics, and
// gradients are the same in every run.
template <typename scalar_t>
struct PoolBackward {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = 1;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  const scalar_t* grad;
  const acc_t* rois;
  int64_t boxes;
  PoolShape shape;
  acc_t spatial_scale;
  MapStrides strides;
  scalar_t* grad_input;

  FGFA_HOST_DEVICE int64_t tiles() const { return (shape.cells() + kThreads - 1) / kThreads; }
  FGFA_HOST_DEVICE int64_t items() const { return slab_count(shape) * tiles(); }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    Bin* const bins = context.template shared<Bin>();
    for (int64_t item = context.block(); item < items(); item += context.blocks()) {
      const Slab slab = slab_at(item / tiles(), shape);
      const int64_t cell = item % tiles() * kThreads + context.thread();
      const int32_t row = static_cast<int32_t>(cell / shape.width);
      const int32_t column = static_cast<int32_t>(cell % shape.width);
      acc_t sums[kSlabClasses] = {};
      for (int64_t first = 0; first < boxes; first += kThreads) {
        const int64_t count = boxes - first < kThreads ? boxes - first : kThreads;
        if (context.thread() < count) {
          bins[context.thread()] =
              bin_on_slab(rois + (first + context.thread()) * 5, slab, shape, spatial_scale);
        }
        context.sync();
        for (int64_t i = 0; i < count; ++i) {
          const scalar_t* box_grad = grad + (first + i) * shape.channels();
          gather_share(box_grad, bins[i], row, column, slab, shape, sums);
        }
        context.sync();  // before the bins are overwritten
      }
      if (row < shape.height) write_cell(sums, row, column, slab, shape, strides, grad_input);
    }
  }
};

template <typename Launch>
Tensor ps_roi_pool(const Tensor& input, const Tensor& rois, int64_t output_size,
                   double spatial_scale) {
  const PoolShape shape = check_ps_roi_pool(input, rois, output_size);
  const Launch launch(input);
  const Tensor boxes = torch::stable::contiguous(rois);
  const Tensor pooled =
      torch::stable::new_empty(input, {rois.size(0), shape.classes, shape.bins, shape.bins});
  const auto run = [&](auto zero) {
    using scalar_t = decltype(zero);
    using acc_t = accumulate_t<scalar_t>;
    launch(PoolForward<scalar_t>{input.const_data_ptr<scalar_t>(), strides_of(input),
                                 boxes.const_data_ptr<acc_t>(), boxes.size(0), shape,
                                 static_cast<acc_t>(spatial_scale),
                                 pooled.mutable_data_ptr<scalar_t>()});
  };
  THO_DISPATCH_V2(input.scalar_type(), "ps_roi_pool", AT_WRAP([&] { run(scalar_t()); }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return pooled;
}

template <typename Launch>
Tensor ps_roi_pool_backward(const Tensor& grad, const Tensor& rois, int64_t batch, int64_t height,
                            int64_t width, double spatial_scale, bool channels_last) {
  const PoolShape shape = check_ps_roi_pool_grad(grad, rois, batch, height, width);
  const Launch launch(grad);
  const Tensor out_grad = torch::stable::contiguous(grad);
  const Tensor boxes = torch::stable::contiguous(rois);
  const Tensor grad_input = empty_grad_input(grad, shape, channels_last);
  const auto run = [&](auto zero) {
    using scalar_t = decltype(zero);
    using acc_t = accumulate_t<scalar_t>;
    launch(PoolBackward<scalar_t>{out_grad.const_data_ptr<scalar_t>(),
                                  boxes.const_data_ptr<acc_t>(), boxes.size(0), shape,
                                  static_cast<acc_t>(spatial_scale), strides_of(grad_input),
                                  grad_input.mutable_data_ptr<scalar_t>()});
  };
  THO_DISPATCH_V2(grad.scalar_type(), "ps_roi_pool_backward", AT_WRAP([&] { run(scalar_t()); }),
                  AT_FLOATING_TYPES, ScalarType::Half, ScalarType::BFloat16);
  return grad_input;
}

}  // namespace fgfa

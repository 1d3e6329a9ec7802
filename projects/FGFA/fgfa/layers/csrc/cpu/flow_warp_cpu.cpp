// flow_warp on the CPU. Every sum has one owner and a fixed order, so results do not depend on
// the number of threads.

#include <torch/csrc/stable/library.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <tuple>
#include <vector>

#include "../flow_warp.h"
#include "warped_rows.h"

namespace fgfa {
namespace {

using torch::stable::Tensor;

template <typename scalar_t>
void forward(const Tensor& feature, const Tensor& flow, Tensor& warped, const MapShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  const int64_t block = channels_per_block(feature, 1);
  RowMaps<const scalar_t> source(feature, 1, block);
  RowMaps<scalar_t> result(warped, 1, block);
  for (int64_t n = 0; n < shape.batch; ++n) {
    const acc_t* field = flow.const_data_ptr<acc_t>() + n * 2 * shape.plane();
    const auto samples = sample_frames(field, 1, shape.height, shape.width);
    for_each_block(shape.channels, block, [&](int64_t first, int64_t count) {
      const auto rows = source.rows(n, first, count);
      const auto result_rows = result.rows(n, first, count);
      for_each_tile(shape.height, shape.width, count, [&](const Tile& tile) {
        sum_rows(tile, result_rows, 0, 1, count, [&](RowSum<scalar_t>& sum, int64_t, int64_t cell) {
          sum.add_warped(rows, 0, samples[cell], acc_t(1));
        });
      });
      result.flush(n, first, count);
    });
  }
}

template <typename scalar_t>
void backward(const Tensor& grad, const Tensor& feature, const Tensor& flow, Tensor& grad_feature,
              Tensor& grad_flow, const MapShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  const int64_t block = channels_per_block(feature, 1);
  const int64_t plane = shape.plane();
  RowMaps<const scalar_t> source(feature, 1, block), out_grads(grad, 1, block);
  RowMaps<scalar_t> result(grad_feature, 1, block);
  const std::vector<scalar_t> zeros(block);
  for (int64_t n = 0; n < shape.batch; ++n) {
    const acc_t* field = flow.const_data_ptr<acc_t>() + n * 2 * plane;
    const auto samples = sample_frames(field, 1, shape.height, shape.width);
    const Readers<acc_t> readers(samples.data(), plane);
    acc_t* grad_x = grad_flow.mutable_data_ptr<acc_t>() + n * 2 * plane;
    acc_t* grad_y = grad_x + plane;
    for_each_block(shape.channels, block, [&](int64_t first, int64_t count) {
      const auto rows = source.rows(n, first, count);
      const auto out_rows = out_grads.rows(n, first, count);
      const auto result_rows = result.rows(n, first, count);
      for_each_tile(shape.height, shape.width, count, [&](const Tile& tile) {
        tile.for_each_cell([&](int64_t, int64_t cell) {
          const CornerTaps<scalar_t> corners(rows, 0, samples[cell], zeros.data());
          const auto dots = row_kernels<scalar_t>().dots(corners.taps, out_rows.at(0, cell), count);
          grad_x[cell] += slope_x(dots, samples[cell]);
          grad_y[cell] += slope_y(dots, samples[cell]);
        });
        sum_rows(tile, result_rows, 0, 1, count, [&](RowSum<scalar_t>& sum, int64_t, int64_t cell) {
          readers.for_each(
              cell, [&](int64_t reader, acc_t share) { sum.add(out_rows.at(0, reader), share); });
        });
      });
      result.flush(n, first, count);
    });
  }
}

Tensor flow_warp_cpu(const Tensor& feature, const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  Tensor warped = empty_maps(feature.sizes(), feature);
  if (warped.numel() == 0) {
    return warped;
  }
  const Tensor maps = dense(feature);
  const Tensor field = torch::stable::contiguous(flow);
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp",
                  AT_WRAP([&] { forward<scalar_t>(maps, field, warped, shape); }),
                  AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                  torch::headeronly::ScalarType::BFloat16);
  return warped;
}

std::tuple<Tensor, Tensor> flow_warp_backward_cpu(const Tensor& grad, const Tensor& feature,
                                                  const Tensor& flow,
                                                  bool /* deterministic in any case */) {
  const MapShape shape = check_flow_warp(feature, flow);
  check_flow_warp_grad(grad, feature, shape);
  Tensor grad_feature = empty_maps(feature.sizes(), feature);
  Tensor grad_flow = torch::stable::new_zeros(flow, flow.sizes());
  if (grad_feature.numel() == 0) {
    return {grad_feature, grad_flow};
  }
  const Tensor maps = dense(feature);
  const Tensor out_grad = dense(grad);
  const Tensor field = torch::stable::contiguous(flow);
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp_backward", AT_WRAP([&] {
                    backward<scalar_t>(out_grad, maps, field, grad_feature, grad_flow, shape);
                  }),
                  AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                  torch::headeronly::ScalarType::BFloat16);
  return {grad_feature, grad_flow};
}

}  // namespace
}  // namespace fgfa

STABLE_TORCH_LIBRARY_IMPL(fgfa, CPU, m) {
  m.impl("flow_warp", TORCH_BOX(&fgfa::flow_warp_cpu));
  m.impl("flow_warp_backward", TORCH_BOX(&fgfa::flow_warp_backward_cpu));
}

// flow_warp on the CPU. Every sum has one owner and a fixed order, so results do not depend on
// the number of threads.

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>
#include <torch/headeronly/core/Dispatch_v2.h>

#include <algorithm>
#include <tuple>
#include <vector>

#include "../flow_warp.h"
#include "../flow_warp_math.h"

namespace fgfa {
namespace {

using torch::stable::Tensor;

// Cells a thread should have at least.
constexpr int64_t kGrain = 16384;

int64_t grain(int64_t cells_per_item) { return std::max<int64_t>(1, kGrain / cells_per_item); }

// The samples of one image, which all its channels share.
template <typename acc_t>
void fill_samples(const acc_t* flow, const MapShape& shape, std::vector<Sample<acc_t>>& samples) {
  torch::stable::parallel_for(0, shape.plane(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      samples[cell] = sample_cell(flow, cell, shape.height, shape.width);
    }
  });
}

template <typename scalar_t>
void forward(const scalar_t* feature, const accumulate_t<scalar_t>* flow, scalar_t* warped,
             const MapShape& shape) {
  const int64_t plane = shape.plane();
  std::vector<Sample<accumulate_t<scalar_t>>> samples(plane);
  for (int64_t n = 0; n < shape.batch; ++n) {
    fill_samples(flow + n * 2 * plane, shape, samples);
    const int64_t first = n * shape.channels;
    torch::stable::parallel_for(
        first, first + shape.channels, grain(plane), [&](int64_t begin, int64_t end) {
          for (int64_t c = begin; c < end; ++c) {
            for (int64_t cell = 0; cell < plane; ++cell) {
              const auto& sample = samples[cell];
              warped[c * plane + cell] = static_cast<scalar_t>(
                  interpolate(read_corners(feature + c * plane, sample), sample));
            }
          }
        });
  }
}

// Gradient of the map: a thread owns whole channels.
template <typename scalar_t>
void backward_feature(const scalar_t* grad,
                      const std::vector<Sample<accumulate_t<scalar_t>>>& samples,
                      scalar_t* grad_feature, int64_t channels) {
  using acc_t = accumulate_t<scalar_t>;
  const int64_t plane = samples.size();
  torch::stable::parallel_for(0, channels, grain(plane), [&](int64_t begin, int64_t end) {
    std::vector<acc_t> sum(plane);
    for (int64_t c = begin; c < end; ++c) {
      std::fill(sum.begin(), sum.end(), acc_t(0));
      for (int64_t cell = 0; cell < plane; ++cell) {
        spread(sum.data(), samples[cell], static_cast<acc_t>(grad[c * plane + cell]),
               [](acc_t* address, acc_t value) { *address += value; });
      }
      std::transform(sum.begin(), sum.end(), grad_feature + c * plane,
                     [](acc_t value) { return static_cast<scalar_t>(value); });
    }
  });
}

// Gradient of the flow, which starts at zero: a thread owns cells, and adds channel after channel.
template <typename scalar_t>
void backward_flow(const scalar_t* grad, const scalar_t* feature,
                   const std::vector<Sample<accumulate_t<scalar_t>>>& samples,
                   accumulate_t<scalar_t>* grad_flow, int64_t channels) {
  using acc_t = accumulate_t<scalar_t>;
  const int64_t plane = samples.size();
  const int64_t cells = grain(std::max<int64_t>(1, channels));
  torch::stable::parallel_for(0, plane, cells, [&](int64_t begin, int64_t end) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t cell = begin; cell < end; ++cell) {
        const auto corners = read_corners(feature + c * plane, samples[cell]);
        const acc_t value = static_cast<acc_t>(grad[c * plane + cell]);
        grad_flow[cell] += value * slope_x(corners, samples[cell]);
        grad_flow[plane + cell] += value * slope_y(corners, samples[cell]);
      }
    }
  });
}

template <typename scalar_t>
void backward(const Tensor& grad, const Tensor& feature, const Tensor& flow, Tensor& grad_feature,
              Tensor& grad_flow, const MapShape& shape) {
  using acc_t = accumulate_t<scalar_t>;
  std::vector<Sample<acc_t>> samples(shape.plane());
  for (int64_t n = 0; n < shape.batch; ++n) {
    const int64_t map = n * shape.channels * shape.plane();
    const int64_t field = n * 2 * shape.plane();
    fill_samples(flow.const_data_ptr<acc_t>() + field, shape, samples);
    const scalar_t* grad_map = grad.const_data_ptr<scalar_t>() + map;
    backward_feature(grad_map, samples, grad_feature.mutable_data_ptr<scalar_t>() + map,
                     shape.channels);
    backward_flow(grad_map, feature.const_data_ptr<scalar_t>() + map, samples,
                  grad_flow.mutable_data_ptr<acc_t>() + field, shape.channels);
  }
}

Tensor flow_warp_cpu(const Tensor& feature, const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  const Tensor map = torch::stable::contiguous(feature);
  const Tensor field = torch::stable::contiguous(flow);
  Tensor warped = torch::stable::new_empty(map, map.sizes());
  if (warped.numel() == 0) {
    return warped;
  }
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp", AT_WRAP([&] {
                    forward<scalar_t>(map.const_data_ptr<scalar_t>(),
                                      field.const_data_ptr<accumulate_t<scalar_t>>(),
                                      warped.mutable_data_ptr<scalar_t>(), shape);
                  }),
                  AT_FLOATING_TYPES, torch::headeronly::ScalarType::Half,
                  torch::headeronly::ScalarType::BFloat16);
  return warped;
}

std::tuple<Tensor, Tensor> flow_warp_backward_cpu(const Tensor& grad, const Tensor& feature,
                                                  const Tensor& flow) {
  const MapShape shape = check_flow_warp(feature, flow);
  check_flow_warp_grad(grad, feature);
  Tensor grad_feature = torch::stable::new_empty(feature, feature.sizes());
  Tensor grad_flow = torch::stable::new_zeros(flow, flow.sizes());
  if (grad_feature.numel() == 0) {
    return {grad_feature, grad_flow};
  }
  const Tensor out_grad = torch::stable::contiguous(grad);
  const Tensor map = torch::stable::contiguous(feature);
  const Tensor field = torch::stable::contiguous(flow);
  THO_DISPATCH_V2(feature.scalar_type(), "flow_warp_backward", AT_WRAP([&] {
                    backward<scalar_t>(out_grad, map, field, grad_feature, grad_flow, shape);
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

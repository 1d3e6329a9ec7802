// Bodies of the kernels that give maps and flow their gradients (as warp_kernels.h reads them).

#pragma once

#include "thread_team.h"

namespace fgfa {

// The gradient of warped maps: factor * fixed - own_factor * warped.
template <typename scalar_t>
struct WarpedGradient {
  using acc_t = accumulate_t<scalar_t>;

  const scalar_t* maps;     // (N, C, H, W)
  const acc_t* flow;        // (N, 2, H, W)
  const scalar_t* fixed;    // (N / frames, C, H, W)
  const acc_t* factor;      // (N, H, W); null: 1
  const acc_t* own_factor;  // (N, H, W); null: 0
  MapShape shape;           // of maps
  int64_t frames;
};

// Gradients of maps and flow. Whoever owns a cell adds to the gradient of the maps with atomics,
// so their last digits vary from run to run.
template <typename Layout, typename scalar_t>
struct WarpBackward {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = Layout::kCells;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  WarpedGradient<scalar_t> warped;
  acc_t* grad_maps;  // (N, C, H, W), added to; null: not wanted
  acc_t* grad_flow;  // (N, 2, H, W), added to

  FGFA_HOST_DEVICE int64_t items() const { return warped.shape.batch * warped.shape.plane(); }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    const MapShape& shape = warped.shape;
    const int64_t plane = shape.plane();
    const int64_t step = Layout::cell_step(shape);
    const int lane = Layout::lane(context.thread());
    const auto add = [&](acc_t* address, acc_t value) { context.atomic_add(address, value); };
    const auto body = [&](int64_t item, bool active) {
      const int64_t n = item / plane;
      const int64_t cell = item % plane;
      const auto sample = sample_cell(warped.flow + n * 2 * plane, cell, shape.height, shape.width);
      const int64_t start = Layout::start(shape, n);
      const scalar_t* const other =
          warped.fixed + Layout::start(shape, n / warped.frames) + cell * step;
      const acc_t factor = warped.factor == nullptr ? acc_t(1) : warped.factor[item];
      acc_t grad_x = 0;
      acc_t grad_y = 0;
      for (int64_t c = lane * Layout::kWidth; active && sample.inside() && c < shape.channels;
           c += Layout::kLanes * Layout::kWidth) {
        const int64_t channel = c * Layout::channel_step(shape);
        Corners<acc_t> corners[Layout::kWidth];
        acc_t grads[Layout::kWidth];
        read_corner_packs(warped.maps + start + channel, sample, step, corners);
        read_pack(other + channel, grads);
        for (int i = 0; i < Layout::kWidth; ++i) {
          grads[i] *= factor;
          if (warped.own_factor != nullptr) {
            grads[i] -= warped.own_factor[item] * interpolate(corners[i], sample);
          }
          grad_x += grads[i] * slope_x(corners[i], sample);
          grad_y += grads[i] * slope_y(corners[i], sample);
          if (grad_maps != nullptr) {
            spread(grad_maps + start + channel + i, sample, grads[i], add, step);
          }
        }
      }
      grad_x = Layout::sum(context, grad_x);
      grad_y = Layout::sum(context, grad_y);
      if (active && lane == 0) {
        grad_flow[n * 2 * plane + cell] += grad_x;
        grad_flow[(n * 2 + 1) * plane + cell] += grad_y;
      }
    };
    for_each_item<kItems>(context, Layout::slot(context.thread()), items(), body);
  }
};

// The gradient of maps alone, the same in every run: a thread owns a channel of a map and adds
// cell after cell. Slower, as it has the threads of N * C and not of N * H * W * 32.
template <typename Layout, typename scalar_t>
struct MapsBackwardInOrder {
  using acc_t = accumulate_t<scalar_t>;
  static constexpr int kItems = kThreads;
  static constexpr int kBlocks = kResidentBlocks<acc_t>;

  WarpedGradient<scalar_t> warped;
  acc_t* grad_maps;  // (N, C, H, W), added to

  FGFA_HOST_DEVICE int64_t items() const { return warped.shape.batch * warped.shape.channels; }

  template <typename Context>
  FGFA_DEVICE void operator()(const Context& context) const {
    const MapShape& shape = warped.shape;
    const auto body = [&](int64_t item, bool active) {
      const int64_t n = item / shape.channels;
      const int64_t channel = item % shape.channels * Layout::channel_step(shape);
      int64_t cell = 0;
      for (int64_t y = 0; active && y < shape.height; ++y) {
        for (int64_t x = 0; x < shape.width; ++x, ++cell) {
          add_cell(n, cell, x, y, channel);
        }
      }
    };
    for_each_item<kItems>(context, context.thread(), items(), body);
  }

 private:
  FGFA_DEVICE void add_cell(int64_t n, int64_t cell, int64_t x, int64_t y, int64_t channel) const {
    const MapShape& shape = warped.shape;
    const int64_t plane = shape.plane();
    const int64_t step = Layout::cell_step(shape);
    const auto sample = sample_at(static_cast<acc_t>(x) + warped.flow[n * 2 * plane + cell],
                                  static_cast<acc_t>(y) + warped.flow[(n * 2 + 1) * plane + cell],
                                  shape.height, shape.width);
    if (!sample.inside()) return;
    const int64_t start = Layout::start(shape, n) + channel;
    const int64_t other = Layout::start(shape, n / warped.frames) + channel + cell * step;
    acc_t grad = static_cast<acc_t>(warped.fixed[other]);
    if (warped.factor != nullptr) {
      grad *= warped.factor[n * plane + cell];
    }
    if (warped.own_factor != nullptr) {
      Corners<acc_t> corners[1];
      read_corner_packs(warped.maps + start, sample, step, corners);
      grad -= warped.own_factor[n * plane + cell] * interpolate(corners[0], sample);
    }
    const auto add = [](acc_t* address, acc_t value) { *address += value; };
    spread(grad_maps + start, sample, grad, add, step);
  }
};

}  // namespace fgfa
